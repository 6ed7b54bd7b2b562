/** `npm run bench [-- --rounds N --out FILE --strict]`: Deckhand beside bare engine calls and docker compose; see docs/bench.md. */
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./main.ts', import.meta.url));
process.exitCode = await main(process.argv.slice(2));
