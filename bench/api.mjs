/** `npm run bench:api [-- --seconds N --clients N --out FILE]`: how many polls of lifecycle rows a second the API answers; see docs/bench.md. */
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./api/main.ts', import.meta.url));
process.exit(await main(process.argv.slice(2)));
