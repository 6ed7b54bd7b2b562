/** `npm start`: brings up the embedded stack and deploys a fleet. Works in a fresh clone; see stack/options.ts for the options. */
import { ensureDependencies, requireNode, runTypeScript } from './bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./main.ts', import.meta.url));
await main(process.argv.slice(2));
