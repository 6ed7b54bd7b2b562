/** `npm run bench:events [-- --rounds N --readers N --out FILE]`: what readers of events cost a deploy, and whether each gets all; see docs/bench.md. */
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./events/main.ts', import.meta.url));
process.exit(await main(process.argv.slice(2)));
