/** What a workflow begins at once stays far below what Temporal lets it (2,000 activities, 2,000 children). */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { type StubbedWorker, stubbedWorker } from '../support/stubbed-worker.ts';

describe('a host with many deckies that leaves', function () {
  this.timeout(90_000);
  const COUNT = 300;
  const names = Array.from({ length: COUNT }, (_, at) => `d${at}`);
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
  async function atOnce(id: string): Promise<number> {
    const { events = [] } = await stubbed.client.workflow.getHandle(id).fetchHistory();
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

  it('takes each down, some at a time', async () => {
    answers = () => true;
    await leave('all');
    assert.deepEqual([...asked].sort(), [...names].sort());
    const most = await atOnce(`${stubbed.taskQueue}/all`);
    assert.ok(most > 1 && most <= 30, `${most} at once`);
  });

  it('that falls silent is waited for once, and owes the rest', async () => {
    answers = (deckyName) => Number(deckyName.slice(1)) < 30;
    await leave('silent');
    assert.ok(new Set(asked).size < 100, `${new Set(asked).size} were asked for`);
  });
});
