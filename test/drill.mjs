/**
 * `npm run test:drill -- --seed S --rounds N [--agents A] [--kinds worker,api,both,nats,agent-1,agents] [--minutes M] [--length MS]`: kills parts of a real stack in the
 * middle of deploys, at moments that the seed gives. The last line is `N passed, N failed`.
 */
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./drills/main.ts', import.meta.url));
await main(process.argv.slice(2));
