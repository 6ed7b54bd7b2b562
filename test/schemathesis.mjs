/**
 * `npm run test:schemathesis [-- --requests N]`: Schemathesis asks the API as administrator, viewer and nobody, at least N times in all (5000), with another seed
 * each time. The short run of `npm test` is the same test. The last line is `N passed, N failed`.
 */
import { parseArgs } from 'node:util';
import { ensureDependencies, requireNode, runTypeScript } from '../stack/bootstrap.mjs';

const { values } = parseArgs({ options: { requests: { type: 'string', default: '5000' } } });
/** What fits into the time that the run has. */
const MOST = 10_000;
if (!/^[1-9]\d*$/.test(values.requests) || Number(values.requests) > MOST) {
  console.error(`--requests ${values.requests}: a number from 1 to ${MOST} is wanted.`);
  process.exit(2);
}
requireNode();
await ensureDependencies();
process.env.DECKHAND_TEST_SCHEMATHESIS = values.requests;
const { main } = await runTypeScript(new URL('./support/stack/stack-runner.ts', import.meta.url));
await main(['test/conformance/schemathesis.test.ts']);
