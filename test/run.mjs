/**
 * `npm test`: node test/run.mjs [room…] [file.test.ts…] [--grep TEXT] | --serve
 *
 * Without a room or a file: the checks (types, lint, imports), then all rooms. Rooms that need servers get one set of them,
 * embedded, for this run alone. `--serve` only brings the servers up, prints their variables, and stays until Ctrl-C, for running
 * single files by mocha. The last line is `N passed, N failed`, with `, N skipped` when some were.
 */
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

requireNode();
await ensureDependencies();
const { main } = await runTypeScript(new URL('./support/stack/stack-runner.ts', import.meta.url));
await main(process.argv.slice(2));
