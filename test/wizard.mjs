/**
 * `DECNET_WEB=/path/to/decnet_web npm run test:wizard`: DECNET's own web page, built from that folder, in headless Chromium against
 * `npm start`. Without DECNET_WEB it is skipped, and says so. The last line is `N passed, N failed`.
 */
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./wizard/main.ts', import.meta.url));
await main();
