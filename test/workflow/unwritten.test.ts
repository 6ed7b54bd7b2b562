/** What came of a row can't be written for good: the workflow ends the row in another way, and waits for nothing. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import type { Transition } from '../../fleet/lifecycle.ts';
import { type StubbedWorker, stubbedWorker } from '../support/temporal/stubbed-worker.ts';

describe('a background write that fails for good', function () {
  this.timeout(60_000);
  const written: Transition[] = [];
  let stubbed: StubbedWorker;

  /** Refuses all but the fallback's rows, as a database would that takes no such text. */
  async function recordTransitions({ transitions }: { transitions: readonly Transition[] }): Promise<number> {
    if (transitions.some(({ error = '' }) => !error.startsWith('WorkflowLost: ')))
      throw ApplicationFailure.nonRetryable('invalid byte sequence', 'Internal');
    written.push(...transitions);
    return transitions.length;
  }

  const row = (workflowId: string, operation: string) => {
    const lifecycleId = `row-of-${workflowId}`;
    const isEnded = written.some((one) => one.lifecycleId === lifecycleId);
    return isEnded
      ? []
      : [
          {
            lifecycleId,
            deckyName: 'a',
            operation,
            workflowId,
            deploymentId: 'one',
            hostUuid: null,
            status: 'pending',
          },
        ];
  };

  before(async () => {
    const store = {
      acceptDeployment: async ({ operationId }: { operationId: string }) => ({
        accepted: true,
        parts: [{ workflowId: operationId, names: ['a'], removals: false, hostUuid: null, turn: true }],
        turn: true,
        networkMoved: false,
        progressDeadlineMs: 60_000,
      }),
      openRows: async ({ workflowId }: { workflowId: string }) => row(workflowId, 'teardown'),
      recordTransitions,
      finishDeployment: async () => 'failed',
      releaseLane: async () => undefined,
      publishTransitions: async () => 0,
    };
    const work = (workflowId: string) =>
      row(workflowId, 'deploy').map((one) => ({ ...one, verdict: 'as specified' as const }));
    const engine = {
      planLocal: async ({ workflowId }: { workflowId: string }) => ({
        work: work(workflowId),
        makeRoom: [],
        options: { minHealthyTimeMs: 0, healthyDeadlineMs: 60_000, progressDeadlineMs: 60_000 },
      }),
      composeDown: async () => undefined,
      tidyEngine: async () => undefined,
      sightDeckies: async () => [{ deckyName: 'a', sentence: 'it runs', seen: 'running' }],
    };
    stubbed = await stubbedWorker({ store, engine });
  });
  after(() => stubbed.close());

  // proof: field-3.13-1
  for (const type of ['teardownDecky', 'mutateDecky', 'deployFleet'])
    it(`ends the rows of ${type} by what is seen, and gives the lane back`, async () => {
      const { client, taskQueue } = stubbed;
      const workflowId = `${taskQueue}/${type}`;
      const handle = await client.workflow.start(type, {
        workflowId,
        taskQueue,
        args: [
          {
            operationId: type === 'deployFleet' ? `${workflowId}/local` : workflowId,
            searchAttributes: false,
            resume: true,
          },
        ],
        workflowExecutionTimeout: '30s',
      });
      assert.equal((await handle.result()).outcome, 'failed');
      const last = written.at(-1);
      assert.match(last?.error ?? '', /^WorkflowLost: .*; it runs\. /);
      assert.deepEqual([last?.deckyName, last?.status, last?.seen], ['a', 'failed', 'running']);
    });
});
