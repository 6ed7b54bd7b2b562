/** What a workflow begins at once stays far below what Temporal lets it (2,000 activities, 2,000 children). */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { leaveWorkflowId } from '../../fleet/housekeeping.ts';
import { type StubbedWorker, stubbedWorker } from '../support/temporal/stubbed-worker.ts';

describe('a host with many deckies that leaves', function () {
  this.timeout(90_000);
  const COUNT = 300;
  const all = Array.from({ length: COUNT }, (_, at) => `d${at}`);
  let names = all;
  let stubbed: StubbedWorker;
  let asked: string[] = [];
  let answers: (deckyName: string) => boolean = () => true;

  before(async () => {
    const store = {
      acceptDeployment: async () => ({
        accepted: true,
        parts: [{ workflowId: 'unused', names, removals: false, hostUuid: 'h2', hostName: 'h2', turn: true }],
        turn: true,
        networkMoved: false,
        progressDeadlineMs: 60_000,
        rollout: { maxParallel: null, minHealthyTimeMs: 0, progressDeadlineMs: 60_000, hostLostAfterMs: 3_000 },
        leaving: { hostUuid: 'h1', hostName: 'h1', reachable: true },
      }),
      awaitTurn: async () => undefined,
      releaseLane: async () => undefined,
      openRows: async () => [],
      settleShard: async () => 0,
      recordTransitions: async () => 0,
      finishDeployment: async () => 'succeeded',
      publishTransitions: async () => 0,
    };
    const agents = {
      tearDownOnHost: async ({ deckyName }: { deckyName: string }) => {
        asked.push(deckyName);
        if (!answers(deckyName)) throw ApplicationFailure.create({ type: 'HostSilent', message: 'no answer' });
      },
      dispatchShard: async () => ({ rows: [], answer: 'done', fenced: true }),
    };
    stubbed = await stubbedWorker({ store, agents });
  });
  after(() => stubbed.close());
  beforeEach(() => {
    asked = [];
  });

  /** How many activities of that name were under way at the same time, at most, by the history. */
  async function atOnce(workflowId: string): Promise<number> {
    const { events = [] } = await stubbed.client.workflow.getHandle(workflowId).fetchHistory();
    const open = new Set<string>();
    let most = 0;
    for (const event of events ?? []) {
      if (event.activityTaskScheduledEventAttributes?.activityType?.name === 'tearDownOnHost')
        open.add(String(event.eventId));
      const { scheduledEventId } =
        event.activityTaskCompletedEventAttributes ??
        event.activityTaskTimedOutEventAttributes ??
        event.activityTaskFailedEventAttributes ??
        {};
      if (scheduledEventId) open.delete(String(scheduledEventId));
      most = Math.max(most, open.size);
    }
    return most;
  }
  async function leave(id: string): Promise<void> {
    const { client, taskQueue } = stubbed;
    const args = [{ operationId: id, searchAttributes: false, resume: true }];
    await client.workflow.execute('deployFleet', {
      workflowId: `${taskQueue}/${id}`,
      taskQueue,
      args,
      workflowExecutionTimeout: '60s',
    });
  }

  // proof: field-1.4-9, field-1.9-1
  it('takes each down, some at a time, in a history beside the deployment’s', async () => {
    const id = `all-${stubbed.taskQueue}`;
    answers = () => true;
    await leave(id);
    assert.deepEqual([...asked].sort(), [...names].sort());
    const most = await atOnce(leaveWorkflowId(id, 1));
    assert.ok(most > 1 && most <= 30, `${most} at once`);
    const { historyLength } = await stubbed.client.workflow.getHandle(`${stubbed.taskQueue}/${id}`).describe();
    assert.ok(historyLength < 100, `${historyLength} events`);
  });

  it('takes few down by itself', async () => {
    const id = `few-${stubbed.taskQueue}`;
    answers = () => true;
    names = names.slice(0, 30);
    try {
      await leave(id);
    } finally {
      names = all;
    }
    assert.equal(asked.length, 30);
    assert.ok((await atOnce(`${stubbed.taskQueue}/${id}`)) > 1);
  });

  // proof: field-1.9-1
  it('that falls silent is waited for once, and owes the rest', async () => {
    answers = (deckyName) => Number(deckyName.slice(1)) < 30;
    await leave(`silent-${stubbed.taskQueue}`);
    assert.ok(new Set(asked).size < 100, `${new Set(asked).size} were asked for`);
  });
});

describe('a network that can’t be made, with many local deckies', function () {
  this.timeout(60_000);
  let stubbed: StubbedWorker;
  const failed = new Map<string, string>();
  let parts: { workflowId: string; names: string[]; removals: boolean; hostUuid: null }[] = [];
  before(async () => {
    const store = {
      acceptDeployment: async () => ({
        accepted: true,
        parts,
        turn: true,
        networkMoved: true,
        progressDeadlineMs: 60_000,
      }),
      openRows: async ({ workflowId }: { workflowId: string }) =>
        (parts.find((part) => part.workflowId === workflowId)?.names ?? []).map((deckyName) => ({
          lifecycleId: deckyName,
          deckyName,
        })),
      recordTransitions: async ({ transitions }: { transitions: { deckyName: string; error: string }[] }) => {
        for (const { deckyName, error } of transitions) failed.set(deckyName, error);
        return transitions.length;
      },
      releaseLane: async () => undefined,
      finishDeployment: async () => 'failed',
      publishTransitions: async () => 0,
    };
    const engine = {
      leaveNetwork: async () => {
        throw ApplicationFailure.create({ type: 'NetworkConflict', message: 'no such network', nonRetryable: true });
      },
      composeDiscard: async () => ({ sentence: 'it runs as before', seen: 'running' }),
    };
    stubbed = await stubbedWorker({ store, engine });
  });
  after(() => stubbed?.close());
  beforeEach(() => failed.clear());

  for (const [title, count] of [
    // proof: field-1.4-9
    ['ends each row in a history beside the deployment’s', 8],
    ['ends few rows by itself', 3],
  ] as const)
    it(title, async () => {
      const { client, taskQueue } = stubbed;
      const workflowId = `${taskQueue}/${count}`;
      parts = Array.from({ length: count }, (_, part) => ({
        workflowId: `${workflowId}/local-${part}`,
        names: Array.from({ length: 20 }, (_, at) => `d${part}-${at}`),
        removals: false,
        hostUuid: null,
      }));
      const args = [{ operationId: workflowId, searchAttributes: false, resume: true }];
      const handle = await client.workflow.start('deployFleet', { workflowId, taskQueue, args });
      assert.equal((await handle.result()).failed, count * 20);
      assert.equal(failed.size, count * 20);
      for (const error of failed.values()) assert.match(error, /^NetworkConflict: no such network .*runs as before/);
      const { historyLength } = await handle.describe();
      if (count > 4) assert.ok(historyLength < 150, `${historyLength} events`);
      else await assert.rejects(client.workflow.getHandle(`${workflowId}/local-0`).describe());
    });
});
