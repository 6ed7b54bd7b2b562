/**
 * `npm run test:drill -- --seed S --rounds N [--agents A] [--kinds worker,docker,agent-1,…] [--minutes M] [--length MS]`: breaks parts of a real stack in the
 * middle of deploys, at moments that the seed gives. `test/drills/kinds.ts` lists the kinds. The last line is `N passed, N failed`.
 */
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./drills/main.ts', import.meta.url));
await main(process.argv.slice(2));
