import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createSweepActivities } from '../../activities/housekeeping.ts';
import { BATCH_BYTES, fitting, inBatches, weightOf } from '../../fleet/limits.ts';

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
/** Texts as an engine or an agent may write them: control characters and far scripts weigh most. */
const error = fc
  .constantFrom('x', 'é', '界', '\u0001', '"', '🦆')
  .map((one) => ({ error: one.repeat(2_000).slice(0, 2_000), status: 'failed' }));

import { createSweep, type SweepDependencies } from '../../operations/sweep.ts';

describe('a list that goes through Temporal', () => {
  // proof: field-1.9-1
  it('is cut into batches that fit, in order, with nothing left out', () => {
    fc.assert(
      fc.property(fc.array(error, { maxLength: 300 }), fc.integer({ min: 1, max: 250 }), (items, most) => {
        const batches = inBatches(items, most);
        assert.deepEqual(batches.flat(), items);
        for (const batch of batches) assert.ok(batch.length <= most && bytesOf(batch) <= BATCH_BYTES);
      }),
      { numRuns: 30 },
    );
  });

  it('weighs no less than its bytes, and one that is too heavy goes alone', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => weightOf(value) >= bytesOf(value)));
    assert.equal(fitting(['x'.repeat(2 * BATCH_BYTES), 'y'], 10), 1);
    assert.equal(fitting([], 10), 0);
  });
});

describe('a sweep of many operations', () => {
  const COUNT = 300;
  const ids = Array.from({ length: COUNT }, (_, at) => `o${at}`);
  const operations = ids.map((operationId) => ({ operationId, workflowId: `deploy/${operationId}`, kind: 'deploy' }));
  let asked = 0;
  let most = 0;
  /** Each question is under way until the next turn of the event loop. */
  async function busy<T>(answer: T): Promise<T> {
    most = Math.max(most, ++asked);
    await new Promise((resolve) => setImmediate(resolve));
    asked -= 1;
    return answer;
  }
  const closed: string[] = [];
  const sweep = (state: 'closed' | 'unknown') =>
    createSweepActivities(
      createSweep({
        store: {
          openRowsOlderThan: async () =>
            operations.map((one) => ({
              ...one,
              lifecycleId: one.operationId,
              deploymentId: one.operationId,
              deckyName: 'x',
              hostUuid: null,
            })),
          openTicketsOlderThan: async () =>
            operations.map((one) => ({ ...one, hostUuid: `h${one.operationId}`, number: 1 })),
          unfinished: async () => operations.map((one) => ({ ...one, state: 'accepted' })),
          withdraw: async () => null,
          finish: async () => null,
          closeTicket: async (hostUuid: string) => {
            closed.push(hostUuid);
            return null;
          },
        },
        workflowState: () => busy(state),
        restart: () => busy(undefined),
        begin: () => busy(undefined),
        signalTurn: async () => undefined,
        pending: { hostsBack: async () => ids, storeRequest: async (id: string) => ({ operationId: id }) },
      } as unknown as SweepDependencies),
    );

  afterEach(() => {
    assert.ok(most > 1 && most <= 20, `${most} at the same time`);
    most = 0;
  });

  // proof: field-1.9-1
  it('asks Temporal some at a time which rows nobody works on', async () => {
    assert.equal((await sweep('closed').findOrphans()).lost.length, COUNT);
    assert.deepEqual((await sweep('unknown').findOrphans()).restart, ids);
  });

  it('closes tickets, restarts operations and begins teardowns some at a time', async () => {
    await sweep('closed').closeOrphans();
    assert.equal(closed.length, COUNT);
    await sweep('unknown').restartOperations({ operationIds: ids });
    assert.equal(await sweep('unknown').resumeTeardowns(), COUNT);
  });
});
