/** `npm start`: brings up the embedded stack and deploys a fleet. Works in a fresh clone; see stack/options.ts for the options. */
import { ensureDependencies, requireNode } from './bootstrap.mjs';
import { runProgram } from './loadable.mjs';

requireNode();
await ensureDependencies();
const { main } = await runProgram('stack/main.ts');
await main(process.argv.slice(2));
