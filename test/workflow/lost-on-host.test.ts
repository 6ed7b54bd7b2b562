/** Rows of several workflows on one host are found without their workflows: the host is asked about each. */
import assert from 'node:assert/strict';
import type { Transition } from '../../fleet/lifecycle.ts';
import { type StubbedWorker, stubbedWorker } from '../support/temporal/stubbed-worker.ts';

describe('a sweep that finds rows of two workflows on one host', function () {
  this.timeout(60_000);
  const ended: Transition[] = [];
  let stubbed: StubbedWorker;

  before(async () => {
    const lost = (deckyName: string) => ({
      lifecycleId: deckyName,
      deckyName,
      operation: 'deploy',
      workflowId: `deploy/of-${deckyName}/host/h`,
      deploymentId: `of-${deckyName}`,
      hostUuid: 'h',
      status: 'running',
    });
    const store = {
      publishTransitions: async () => 0,
      findOrphans: async () => ({ restart: [], lost: [lost('a'), lost('b')] }),
      recordTransitions: async ({ transitions }: { transitions: Transition[] }) => {
        ended.push(...transitions);
        return transitions.length;
      },
      closeOrphans: async () => undefined,
      resumeTeardowns: async () => undefined,
    };
    const agents = {
      // As the real activity does, it reads the host's status against the rows of the workflow it is asked for.
      askHost: async ({ workflowId }: { workflowId: string }) => ({
        reachable: true,
        rows: [{ deckyName: workflowId.slice('deploy/of-'.length)[0], status: 'succeeded', seen: 'running' }],
      }),
    };
    stubbed = await stubbedWorker({ store, agents });
  });
  after(() => stubbed.close());

  // proof: lost-workflows
  it('ends each row by what the host says of its own workflow', async () => {
    const { client, taskQueue } = stubbed;
    await client.workflow.execute('sweep', {
      workflowId: `${taskQueue}/sweep`,
      taskQueue,
      args: [],
      workflowExecutionTimeout: '30s',
    });
    assert.deepEqual(ended.map(({ deckyName, seen }) => [deckyName, seen]).sort(), [
      ['a', 'running'],
      ['b', 'running'],
    ]);
    for (const { error } of ended) assert.match(error ?? '', /the host says that it runs as it was sent/);
  });
});
