/** Many hosts: groups of them keep every history short, within max_parallel, and whatever ends a group ends its rows. */
import assert from 'node:assert/strict';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { groupWorkflowId, shardWorkflowId } from '../../fleet/housekeeping.ts';
import type { HostsEnd } from '../../operations/operation-parts.ts';
import { type StubbedWorker, stubbedWorker } from '../support/temporal/stubbed-worker.ts';
import { until } from '../support/until.ts';

const HOSTS_PER_GROUP = 20;

describe('a deployment over many hosts', function () {
  this.timeout(120_000);
  let stubbed: StubbedWorker;
  /** How each host's row ended, by its uuid; twice where it was written twice. */
  let ended: Map<string, string[]>;
  let inside: Set<string>;
  let most: number;
  let hosts: string[];
  let maxParallel: number | null;
  /** What a host waits for before it answers. */
  let answers: (hostUuid: string) => Promise<void>;
  let operation = '';
  let count = 0;

  const partOf = (hostUuid: string) => ({
    workflowId: shardWorkflowId(operation, hostUuid),
    names: [`d-${hostUuid}`],
    removals: false,
    hostUuid,
    hostName: hostUuid,
    turn: true,
  });
  function end(hostUuid: string, how: string): void {
    inside.delete(hostUuid);
    ended.set(hostUuid, [...(ended.get(hostUuid) ?? []), how]);
  }

  before(async () => {
    const store = {
      acceptDeployment: async ({ hostsPerGroup = 200 }: { hostsPerGroup?: number }) => ({
        accepted: true,
        ...(hosts.length > hostsPerGroup ? { parts: [], hostUuids: hosts } : { parts: hosts.map(partOf) }),
        turn: true,
        networkMoved: false,
        progressDeadlineMs: 60_000,
        rollout: {
          maxParallel,
          minHealthyTimeMs: 0,
          healthyDeadlineMs: 60_000,
          progressDeadlineMs: 60_000,
          hostLostAfterMs: 60_000,
        },
      }),
      hostParts: async ({ hostUuids }: { hostUuids: string[] }) => hostUuids.map(partOf),
      endHosts: async ({ hostUuids, error }: HostsEnd) => {
        const open = hostUuids.filter((hostUuid) => !ended.has(hostUuid));
        for (const hostUuid of open) end(hostUuid, error);
        return { succeeded: hostUuids.length - open.length, failed: open.length };
      },
      openRows: async ({ workflowId }: { workflowId: string }) => {
        const hostUuid = workflowId.split('/').at(-1) ?? '';
        const row = { lifecycleId: hostUuid, deckyName: `d-${hostUuid}`, operation: 'deploy', status: 'pending' };
        return ended.has(hostUuid) ? [] : [{ ...row, hostUuid, workflowId, deploymentId: operation }];
      },
      settleShard: async ({
        transitions,
      }: {
        transitions: { lifecycleId: string; status: string; error?: string }[];
      }) => {
        for (const one of transitions) end(one.lifecycleId, one.error ?? one.status);
        return transitions.length;
      },
      finishDeployment: async ({ cancelled }: { cancelled: boolean }) => (cancelled ? 'cancelled' : null),
      publishTransitions: async () => 0,
      releaseLane: async () => undefined,
    };
    const agents = {
      dispatchShard: async ({ hostUuid }: { hostUuid: string }) => {
        inside.add(hostUuid);
        most = Math.max(most, inside.size);
        await answers(hostUuid);
        const row = { lifecycleId: hostUuid, deckyName: `d-${hostUuid}`, operation: 'deploy' };
        return { rows: [row], answer: 'done', fenced: true };
      },
      recallShard: async () => false,
    };
    stubbed = await stubbedWorker({ store, agents });
  });
  after(() => stubbed?.close());
  beforeEach(() => {
    ended = new Map();
    inside = new Set();
    most = 0;
    maxParallel = null;
    answers = async () => undefined;
    operation = `${stubbed.taskQueue}-${count++}`;
  });

  const named = (many: number): string[] => Array.from({ length: many }, (_, at) => `h${at}`);
  const start = (): Promise<WorkflowHandle> =>
    stubbed.client.workflow.start('deployFleet', {
      workflowId: `deploy/${operation}`,
      taskQueue: stubbed.taskQueue,
      args: [{ operationId: operation, searchAttributes: false, resume: true, hostsPerGroup: HOSTS_PER_GROUP }],
      workflowExecutionTimeout: '100s',
    });
  const lengthOf = async (workflowId: string): Promise<number> =>
    (await stubbed.client.workflow.getHandle(workflowId).describe()).historyLength;
  const endedAs = (how: RegExp): string[] =>
    [...ended].filter(([, ends]) => ends.length === 1 && how.test(ends[0] ?? '')).map(([hostUuid]) => hostUuid);

  // proof: field-1.4-6
  it('has a short history of its own, and a bounded one for each group', async () => {
    hosts = named(60);
    const handle = await start();
    const { succeeded, failed } = await handle.result();
    assert.deepEqual([succeeded, failed, endedAs(/succeeded/).length], [60, 0, 60]);
    const own = await lengthOf(handle.workflowId);
    assert.ok(own < 60, `${own} events`);
    const groups = await Promise.all([1, 2, 3].map((one) => lengthOf(groupWorkflowId(operation, one))));
    for (const length of groups) assert.ok(length < HOSTS_PER_GROUP * 15, `${length} events`);
    await assert.rejects(lengthOf(groupWorkflowId(operation, 4)));
  });

  // proof: field-1.4-6
  it('has no group where its hosts are few', async () => {
    hosts = named(HOSTS_PER_GROUP);
    await (await start()).result();
    assert.equal(endedAs(/succeeded/).length, HOSTS_PER_GROUP);
    await assert.rejects(lengthOf(groupWorkflowId(operation, 1)));
  });

  // proof: field-1.4-6
  for (const [width, many] of [
    [3, 60],
    [2, 45],
  ] as const)
    it(`never has more than max_parallel ${width} of ${many} hosts at work`, async () => {
      hosts = named(many);
      maxParallel = width;
      answers = () => new Promise((resolve) => setTimeout(resolve, 20));
      await (await start()).result();
      assert.equal(endedAs(/succeeded/).length, many);
      assert.ok(most > 1 && most <= width, `${most} at once`);
    });

  // proof: field-1.4-7
  it('that is cancelled in the middle ends every row once: done, begun, waiting, and in groups not begun', async () => {
    hosts = named(70);
    maxParallel = 3;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    answers = async () => (ended.size < 10 ? undefined : held);
    const handle = await start();
    await until('three hosts at work', () => ended.size >= 10 && inside.size === 3);
    const done = endedAs(/succeeded/).length;
    await handle.cancel();
    try {
      await assert.rejects(handle.result(), (error) => error instanceof WorkflowFailedError);
    } finally {
      release();
    }
    assert.equal(endedAs(/succeeded/).length, done);
    assert.equal(endedAs(/^Cancelled: /).length, 70 - done);
  });

  // proof: field-1.4-7
  it('ends the rows of a group that somebody terminated, and goes on with the others', async () => {
    hosts = named(60);
    maxParallel = 2;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    answers = async (hostUuid) => (hostUuid === 'h0' ? held : undefined);
    const handle = await start();
    await until('the first host', () => inside.has('h0'));
    await stubbed.client.workflow.getHandle(groupWorkflowId(operation, 1)).terminate('a test');
    const { succeeded, failed } = await handle.result();
    release();
    assert.deepEqual([succeeded, failed], [40, 20]);
    assert.equal(endedAs(/^WorkflowLost: .*hosts\/1 ended without ending this row/).length, 20);
  });
});
