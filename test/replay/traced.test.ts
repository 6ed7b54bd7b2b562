import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { workflowInterceptorModule } from '../../adapters/tracing/tracing.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { historyNames, readHistory } from '../support/temporal/histories.ts';
import { quietRuntime } from '../support/temporal/quiet-runtime.ts';

/**
 * Interceptors take turns of the event loop, and branches that wake together may then give their commands in another order:
 * housekeeping's do. A worker's start begins it anew (adapters/temporal/schedules.ts), so that a run of before ends soon.
 */
const BEGUN_ANEW = 'housekeeping';

/** Spans of a replay are of no use to anybody. */
const NOWHERE = { exporter: { export: { fn: () => undefined } } };

describe('workflows that began without traces', () => {
  it('go on with them: every history but housekeeping’s replays with the interceptors', async () => {
    quietRuntime();
    const cache = join(process.env.DECKHAND_TEST_TMP ?? tmpdir(), 'deckhand-bundles');
    const bundle = await workflowBundle(cache, [workflowInterceptorModule()]);
    const histories = historyNames()
      .map((workflowId) => ({ workflowId, history: readHistory(workflowId) }))
      .filter(
        ({ history: { events } }) =>
          events[0]?.workflowExecutionStartedEventAttributes?.workflowType.name !== BEGUN_ANEW,
      );
    const failed: string[] = [];
    let replayed = 0;
    for await (const { workflowId, error } of Worker.runReplayHistories(
      { workflowBundle: bundle, sinks: NOWHERE },
      histories,
    )) {
      replayed += 1;
      if (error) failed.push(`${workflowId}: ${error.message}`);
    }
    assert.deepEqual([failed, replayed], [[], histories.length]);
  });
});
