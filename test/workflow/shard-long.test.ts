/** A shard that lives long goes on in a new run, with all that it knew. */
import assert from 'node:assert/strict';
import { returnedIds } from '../../adapters/postgres/deployments.ts';
import { shardWorkflowId } from '../../fleet/housekeeping.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { statusesOf } from '../support/fixtures/named-deckies.ts';
import { storeDeploy } from '../support/master/requests.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';
import { until } from '../support/until.ts';

describe('a shard with a long history', function () {
  this.timeout(90_000);
  const swarm = scriptedSwarm();

  // proof: field-1.4-3
  it('goes on in a new run without a second order, and takes no overtaken report', async () => {
    const { database, temporal, id: taskQueue } = swarm.world;
    const h1 = await swarm.agent('h1');
    const operationId = await storeDeploy(database.sql, '[a]\nservices=ssh\n[b]\nservices=ssh\n');
    assert.deepEqual(await acceptRequest(database.sql, operationId), { accepted: true });
    const { lifecycle_ids: ids } = await returnedIds(database.sql, operationId);
    const workflowId = shardWorkflowId(operationId, h1.hostUuid);
    const input = {
      operationId,
      hostUuid: h1.hostUuid,
      hostName: 'h1',
      turn: true,
      slot: null,
      minHealthyTimeMs: 0,
      healthyDeadlineMs: 60_000,
      progressDeadlineMs: 60_000,
      hostLostAfterMs: 60_000,
      mostEvents: 40,
    };
    const handle = await temporal.client.workflow.start('deployShard', { workflowId, taskQueue, args: [input] });
    const runOf = async () => (await temporal.client.workflow.getHandle(workflowId).describe()).runId;
    await until('h1 has the order', () => h1.orders.length === 1);
    for (let sequence = 10; (await runOf()) === handle.firstExecutionRunId; sequence += 1)
      await h1.report('running', ['a'], { sequence });
    await h1.report('failed', ['a'], { sequence: 10, error: 'X: of before' });
    await h1.report('succeeded', ['b'], { sequence: 1_000 });
    for (
      let sequence = 2_000;
      (await temporal.client.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING' && sequence < 2_020;
      sequence += 1
    )
      await h1.report('running', ['a'], { sequence });
    await h1.report('succeeded', ['a'], { sequence: 3_000 });
    assert.deepEqual(statusesOf(await swarm.world.ended(ids)), { a: 'succeeded', b: 'succeeded' });
    assert.deepEqual(await handle.result(), { succeeded: 2, failed: 0 });
    assert.equal(h1.orders.length, 1);
  });
});
