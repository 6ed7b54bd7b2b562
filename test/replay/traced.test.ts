import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { workflowInterceptorModule } from '../../adapters/tracing/temporal.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { quietRuntime } from '../support/quiet-runtime.ts';

const FOLDER = fileURLToPath(new URL('./histories/', import.meta.url));
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));

/** Spans of a replay are of no use to anybody. */
const NOWHERE = { exporter: { export: { fn: () => undefined } } };

describe('workflows that began without traces', () => {
  it('go on with them: all histories replay with the interceptors in the bundle', async () => {
    quietRuntime();
    const cache = join(process.env.DECKHAND_TEST_TMP ?? tmpdir(), 'deckhand-bundles');
    const bundle = await workflowBundle(cache, [workflowInterceptorModule()]);
    for (const name of files.sort()) {
      const history: unknown = JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));
      await Worker.runReplayHistory({ workflowBundle: bundle, sinks: NOWHERE }, history);
    }
  });
});
