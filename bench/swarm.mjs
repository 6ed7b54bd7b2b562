/** `npm run bench:swarm [-- --quick …]`: a deployment over many hosts, beside bare Temporal and DECNET; see docs/bench.md. */
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./swarm/main.ts', import.meta.url));
process.exit(await main(process.argv.slice(2)));
