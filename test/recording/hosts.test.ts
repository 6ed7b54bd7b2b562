/** Records histories over hosts, as engine.test.ts does of the master's own engine. */

import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { deployWorkflowId, shardWorkflowId, teardownWorkflowId } from '../../fleet/housekeeping.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { doneStatus, type ScriptedAgent, scriptedAgent } from '../support/agents/scripted-agent.ts';
import { storeDeploy } from '../support/master/requests.ts';
import { historyRecording } from '../support/temporal/history-recording.ts';
import type { World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

const TWO = '[a]\nservices=ssh\n[b]\nservices=ssh\n[c]\nservices=ssh\n';
const shard = (id: string, agent: ScriptedAgent): string => shardWorkflowId(id, agent.hostUuid);

describe('recording histories over hosts', () => {
  const on = historyRecording();
  const { save, both, closed, mutate } = on;
  let world: World;
  beforeEach(() => {
    world = on.world;
  });

  it('more hosts than are begun at the same time', async () => {
    await world.startWorker();
    const agents = await Promise.all(Array.from({ length: 10 }, (_, index) => scriptedAgent(world, `h${index}`)));
    for (const agent of agents) agent.onDeploy = () => agent.report('succeeded');
    const accepted = await world.deploy('[a]\namount=10\nservices=ssh\n', { options: { maxParallel: 10 } });
    await closed(accepted.deployment_id);
    await save('swarm-many-hosts', { 'deploy-fleet': deployWorkflowId(accepted.deployment_id) });
    await Promise.all(agents.map((agent) => agent.close()));
  });

  it('a host’s deckies move', async () => {
    await world.startWorker();
    const agents = await Promise.all([scriptedAgent(world, 'h1'), scriptedAgent(world, 'h2')]);
    for (const agent of agents) agent.onDeploy = () => agent.report('succeeded');
    await closed((await world.deploy('[a]\nservices=ssh\n[b]\nservices=http\n')).deployment_id);
    const [from, to] = agents.map(({ hostUuid }) => hostUuid);
    const moved = await world.deployments.operate({
      username: 'admin',
      kind: 'move',
      request: { host_uuid: from ?? '' },
      options: {},
    });
    await closed(moved.deployment_id);
    await save('move', {
      'deploy-fleet': deployWorkflowId(moved.deployment_id),
      'deploy-shard': shardWorkflowId(moved.deployment_id, to ?? ''),
    });
    await Promise.all(agents.map((agent) => agent.close()));
  });

  it('over hosts: all well, one that is lost, and a window of one', async () => {
    await world.startWorker();
    const [h1, h2] = [await scriptedAgent(world, 'h1'), await scriptedAgent(world, 'h2')];
    for (const agent of [h1, h2]) agent.onDeploy = () => agent.report('succeeded');
    const well = await world.deploy(TWO);
    await closed(well.deployment_id);
    const id = well.deployment_id;
    await save('swarm-all-well', { 'deploy-fleet': deployWorkflowId(id), 'deploy-shard': shard(id, h1) });
    const { lifecycle_id } = await world.deployments.teardown({ username: 'admin', decky_name: 'b' });
    await world.temporal.client.workflow.getHandle(teardownWorkflowId(lifecycle_id)).result();
    await save('swarm-teardown', { 'teardown-decky': teardownWorkflowId(lifecycle_id) });
    await h1.silence();
    const lost = await world.deploy(TWO, {
      replace: true,
      options: { minHealthyTimeMs: 0, maxParallel: 1, hostLostAfterMs: 8_000 },
    });
    await closed(lost.deployment_id);
    await save('swarm-host-lost', {
      'deploy-fleet': deployWorkflowId(lost.deployment_id),
      'deploy-shard': shard(lost.deployment_id, h1),
    });
    await Promise.all([h1.close(), h2.close()]);
  });

  it('over hosts: a report that was lost, and an order that was forgotten', async () => {
    await world.startWorker();
    const agent = await scriptedAgent(world, 'h1');
    const nothing = { version: 't', network: null, work: [], deckies: {}, unreported: 0 };
    agent.status = { deployed: false, deckies: [], deckhand: nothing };
    agent.onDeploy = async (order) => {
      if (order.deckhand?.attempt === 2) agent.status = doneStatus(order);
    };
    const accepted = await world.deploy('[a]\nservices=ssh\n');
    await closed(accepted.deployment_id);
    await save('swarm-lost-report', { 'deploy-shard': shard(accepted.deployment_id, agent) });
    await agent.close();
  });

  it('a host that is silent for a while: asked with pauses, ordered once it answers', async () => {
    await world.startWorker();
    const agent = await scriptedAgent(world, 'h1');
    agent.onDeploy = () => agent.report('succeeded');
    await agent.silence();
    const { deployment_id: id } = await world.deploy('[a]\nservices=ssh\n');
    const events = async () =>
      (
        await world.temporal.client.workflow
          .getHandle(shard(id, agent))
          .fetchHistory()
          .catch(() => null)
      )?.events ?? [];
    await until('it is waited for', async () =>
      (await events()).some((one) => one.activityTaskScheduledEventAttributes?.activityType?.name === 'awaitHost'),
    );
    await agent.listen();
    await closed(id);
    await save('swarm-host-silent', { 'deploy-fleet': deployWorkflowId(id), 'deploy-shard': shard(id, agent) });
    await agent.close();
  });

  it('a shard that goes on in a new run', async () => {
    await world.startWorker();
    const agent = await scriptedAgent(world, 'h1');
    const { sql } = world.database;
    const operationId = await storeDeploy(sql, '[a]\nservices=ssh\n[b]\nservices=ssh\n');
    await acceptRequest(sql, operationId);
    const workflowId = shard(operationId, agent);
    const waits = { healthyDeadlineMs: 60_000, progressDeadlineMs: 60_000, hostLostAfterMs: 60_000 };
    const host = { hostUuid: agent.hostUuid, hostName: 'h1', turn: true, slot: null };
    const input = { operationId, ...host, ...waits, minHealthyTimeMs: 0, mostEvents: 40 };
    const { workflow } = world.temporal.client;
    const first = await workflow.start('deployShard', { workflowId, taskQueue: world.id, args: [input] });
    const runOf = async () => (await workflow.getHandle(workflowId).describe()).runId;
    await until('h1 has the order', () => agent.orders.length === 1);
    for (let sequence = 10; (await runOf()) === first.firstExecutionRunId; sequence += 1)
      await agent.report('running', ['a'], { sequence });
    await agent.report('succeeded', ['a', 'b'], { sequence: 1_000 });
    await first.result();
    const runId = first.firstExecutionRunId;
    await save('swarm-long', { 'deploy-shard-first-run': { workflowId, runId }, 'deploy-shard-last-run': workflowId });
    await agent.close();
  });

  it('mutations over hosts', async () => {
    await world.startWorker();
    const agent = await scriptedAgent(world, 'h1');
    agent.onDeploy = () => agent.report('succeeded');
    agent.onMutate = () => agent.report('succeeded');
    await closed((await world.deploy('[a]\nservices=ssh\n')).deployment_id);
    await mutate('mutate-on-host', ['ftp']);
    await agent.close();
  });

  it('a teardown of all: a host that is lost, and its return', async () => {
    await world.startWorker();
    await closed((await world.deploy('[here]\nservices=redis\n')).deployment_id);
    const [h1, h2] = [await scriptedAgent(world, 'h1'), await scriptedAgent(world, 'h2')];
    for (const agent of [h1, h2]) agent.onDeploy = () => agent.report('succeeded');
    await closed((await world.deploy('[a]\nservices=ssh\n[b]\nservices=ssh\n')).deployment_id);
    await h1.silence();
    const { deployment_id: id } = await world.deployments.operate({
      ...{ username: 'admin', kind: 'teardown', request: { host_uuid: null, owed: false } },
      options: { hostLostAfterMs: 5_000 },
    });
    await closed(id);
    await save('teardown-of-all', { ...both(id), 'shard-lost': shard(id, h1), 'shard-down': shard(id, h2) });
    await h1.listen();
    await createHostStore(world.database.sql).markReachable(h1.hostUuid);
    const workflowId = `sweep/${world.id}/back`;
    await world.temporal.client.workflow.execute('sweep', { workflowId, taskQueue: world.id, args: [] });
    const [back] = await world.database.sql<
      { id: string }[]
    >`select id from deployments where username = 'host-return'`;
    await closed(back?.id ?? '');
    await save('host-return', { sweep: workflowId, 'deploy-fleet': deployWorkflowId(back?.id ?? '') });
    await Promise.all([h1.close(), h2.close()]);
  });

  it('cancelled: hosts that wait for a place, and one that has its order', async () => {
    await world.startWorker();
    const agents = await Promise.all(['h1', 'h2', 'h3'].map((name) => scriptedAgent(world, name)));
    const options = { minHealthyTimeMs: 0, maxParallel: 1 };
    const { deployment_id: id } = await world.deploy(TWO, { options });
    await until('one has its order', () => agents.some(({ orders }) => orders.length === 1));
    await world.deployments.cancel(id);
    await closed(id).catch(() => undefined);
    const begun = agents.find(({ orders }) => orders.length > 0);
    if (begun)
      await save('swarm-window-cancelled', { 'deploy-fleet': deployWorkflowId(id), 'deploy-shard': shard(id, begun) });
    await Promise.all(agents.map((agent) => agent.close()));
  });

  it('cancelled: one whose order was sent, and one that waits for its turn', async () => {
    await world.startWorker();
    const h1 = await scriptedAgent(world, 'h1');
    const begun = await world.deploy('[a]\nservices=ssh\n');
    await until('h1 has the order', () => h1.orders.length === 1);
    const waiting = await world.deploy('[b]\nservices=ssh\n');
    for (const { deployment_id } of [waiting, begun]) await world.deployments.cancel(deployment_id);
    for (const [name, { deployment_id, lifecycle_ids }] of Object.entries({ begun, waiting })) {
      await world.ended(lifecycle_ids);
      await closed(deployment_id).catch(() => undefined);
      await save('swarm-recalled', {
        [`deploy-fleet-${name}`]: deployWorkflowId(deployment_id),
        [`deploy-shard-${name}`]: shard(deployment_id, h1),
      });
    }
    await h1.close();
  });
});
