/** What came of a row can't be written for good: the workflow ends the row in another way, and waits for nothing. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { HEARTBEAT_SIGNAL } from '../../fleet/agent-wire.ts';
import type { Transition } from '../../fleet/lifecycle.ts';
import { type StubbedWorker, stubbedWorker } from '../support/temporal/stubbed-worker.ts';

/** Node 20 has no Promise.withResolvers. */
function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

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

  // proof: field-3.13-1
  it('ends the rows of a host’s shard by what the host says, and gives the lane back', async () => {
    const ended: Transition[] = [];
    const released: string[] = [];
    const part = { hostUuid: 'h', hostName: 'h', names: ['b', 'c'], removals: false, turn: true };
    const open = (workflowId: string) =>
      ['b', 'c']
        .map((deckyName) => ({ lifecycleId: deckyName, deckyName, operation: 'deploy', status: 'running' }))
        .filter(({ lifecycleId }) => !ended.some((one) => one.lifecycleId === lifecycleId))
        .map((one) => ({ ...one, workflowId, deploymentId: 'two', hostUuid: 'h' }));
    const store = {
      acceptDeployment: async ({ operationId }: { operationId: string }) => ({
        accepted: true,
        parts: [{ ...part, workflowId: `deploy/${operationId}/host/h` }],
        turn: true,
        networkMoved: false,
        progressDeadlineMs: 60_000,
        rollout: {
          maxParallel: null,
          minHealthyTimeMs: 0,
          healthyDeadlineMs: 60_000,
          progressDeadlineMs: 60_000,
          hostLostAfterMs: 60_000,
        },
      }),
      openRows: async ({ workflowId }: { workflowId: string }) => open(workflowId),
      settleShard: async ({ transitions, release }: { transitions: Transition[]; release?: { hostUuid: string } }) => {
        if (transitions.some(({ error = '' }) => !error.startsWith('WorkflowLost: ')))
          throw ApplicationFailure.nonRetryable('invalid byte sequence', 'Internal');
        ended.push(...transitions);
        if (release) released.push(release.hostUuid);
        return transitions.length;
      },
      finishDeployment: async () => 'failed',
      releaseLane: async () => undefined,
      publishTransitions: async () => 0,
    };
    const rows = ['b', 'c'].map((deckyName) => ({ lifecycleId: deckyName, deckyName, operation: 'deploy' }));
    const sent = deferred();
    const agents = {
      dispatchShard: async () => {
        sent.resolve();
        return { rows, answer: 'sent', fenced: true };
      },
      // Whoever ends what the shard left open asks the host.
      askHost: async () => ({
        reachable: true,
        rows: ['b', 'c'].map((deckyName) => ({ deckyName, status: 'succeeded', seen: 'running' })),
      }),
      recallShard: async () => false,
    };
    const own = await stubbedWorker({ store, agents });
    try {
      const handle = await own.client.workflow.start('deployFleet', {
        workflowId: `deploy/${own.taskQueue}`,
        taskQueue: own.taskQueue,
        args: [{ operationId: own.taskQueue, searchAttributes: false, resume: true }],
        workflowExecutionTimeout: '50s',
      });
      await sent.promise;
      const shard = own.client.workflow.getHandle(`deploy/${own.taskQueue}/host/h`);
      // One is written in the background, the other with the end of the lane.
      for (const [at, name] of ['b', 'c'].entries())
        await shard.signal(HEARTBEAT_SIGNAL, {
          hostUuid: 'h',
          reports: [
            {
              lifecycleId: name,
              deckyName: name,
              status: 'succeeded',
              error: null,
              seen: 'running',
              fence: { attempt: 1, sequence: at + 1 },
            },
          ],
        });
      assert.equal((await handle.result()).outcome, 'failed');
      assert.deepEqual(ended.map(({ deckyName, status }) => `${deckyName} ${status}`).sort(), ['b failed', 'c failed']);
      for (const { error } of ended) assert.match(error ?? '', /^WorkflowLost: .*the host says/);
      assert.deepEqual(released, ['h']);
    } finally {
      await own.close();
    }
  });
});
