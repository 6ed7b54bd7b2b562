import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { createDeploymentReader } from '../../adapters/postgres/deployments.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { mutateWorkflowId } from '../../fleet/housekeeping.ts';
import { type ScriptedAgent, scriptedAgent } from '../support/agents/scripted-agent.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

const PATIENCE_MS = 20_000;

describe('mutating a decky on a host', function () {
  this.timeout(120_000);
  let world: World;
  let agent: ScriptedAgent;
  before(async () => {
    world = await createWorld();
    agent = await scriptedAgent(world, 'h1');
    agent.onDeploy = () => agent.report('succeeded');
    await world.ended((await world.deploy('[a]\nservices=ssh\n[b]\nservices=ssh\n')).lifecycle_ids);
  });
  after(async () => {
    await agent.close();
    await world.close();
  });
  beforeEach(() => {
    agent.mutations.length = 0;
    agent.onMutate = () => agent.report('succeeded');
  });

  const mutate = (services: string[] | null, options = {}) =>
    world.deployments.mutate({
      username: 'admin',
      decky_name: 'a',
      services,
      options: { minHealthyTimeMs: 0, ...options },
      idempotency: null,
    });
  const servicesOf = async (name: string) =>
    (await createFleetReader(world.database.sql).deckies()).find((one) => one.name === name)?.services;

  // proof: mutate
  it('is one order for that decky, with the fence, and ends with the report', async () => {
    const orders = agent.orders.length;
    const accepted = await mutate(['http', 'ftp']);
    const [row] = await world.ended(accepted.lifecycle_ids);
    assert.deepEqual([row?.operation, row?.status, row?.host_uuid], ['mutate', 'succeeded', agent.hostUuid]);
    assert.equal(agent.orders.length, orders, 'the others are not ordered anew');
    const [order] = agent.mutations;
    assert.deepEqual([order?.decky_id, order?.services, order?.dry_run], ['a', ['http', 'ftp'], false]);
    const { operation_id, attempt } = order?.deckhand ?? {};
    assert.deepEqual([operation_id, attempt], [accepted.deployment_id, 1]);
    assert.deepEqual([await servicesOf('a'), await servicesOf('b')], [['http', 'ftp'], ['ssh']]);
    const query = `HostUuid = "${agent.hostUuid}" and DeckyName = "a" and Operation = "mutate"`;
    await until(
      'the search finds it',
      async () => {
        for await (const { workflowId } of world.temporal.client.workflow.list({ query }))
          if (workflowId === mutateWorkflowId(accepted.deployment_id)) return true;
        return false;
      },
      PATIENCE_MS,
    );
    const tickets = await world.database.sql`select 1 from host_tickets where closed_at is null`;
    assert.equal(tickets.length, 0);
  });

  it('that fails has the agent’s words, and the services of before (gap B6)', async () => {
    agent.onMutate = () => agent.report('failed', ['a'], { error: 'ContainerExited: a-redis', seen: 'running' });
    const [row] = await world.ended((await mutate(['redis'])).lifecycle_ids);
    assert.deepEqual([row?.status, row?.error], ['failed', 'ContainerExited: a-redis']);
    assert.deepEqual(await servicesOf('a'), ['http', 'ftp']);
  });

  it('C4: cancelled, its host gets what was there before, and nothing of it stays open', async () => {
    agent.onMutate = () => undefined;
    const orders = agent.orders.length;
    const { deployment_id, lifecycle_ids } = await mutate(['redis']);
    await until('the order', () => agent.mutations.length === 1, PATIENCE_MS);
    await world.deployments.cancel(deployment_id);
    const [row] = await world.ended(lifecycle_ids);
    assert.match(row?.error ?? '', /^Cancelled: .*host h1 takes back what was not done/);
    const [order] = agent.orders.slice(orders);
    assert.deepEqual([order?.deckhand?.operation_id, order?.deckhand?.attempt], [deployment_id, 2]);
    assert.deepEqual(order?.config.deckies.find(({ name }) => name === 'a')?.services, ['http', 'ftp']);
    const reader = createDeploymentReader(world.database.sql);
    await until('the end', async () => (await reader.get(deployment_id))?.outcome === 'cancelled', PATIENCE_MS);
    assert.equal((await world.database.sql`select 1 from host_tickets where closed_at is null`).length, 0);
  });

  it('is not ended by an answer of 202, nor by a report of an earlier attempt (gap C13)', async () => {
    agent.onMutate = () => undefined;
    const accepted = await mutate(['ssh']);
    await until('the order', () => agent.mutations.length === 1, PATIENCE_MS);
    await agent.report('succeeded', ['a'], { attempt: 0 });
    await pause(500);
    assert.equal((await world.rows(accepted.lifecycle_ids))[0]?.status, 'running');
    await agent.report('succeeded');
    assert.equal((await world.ended(accepted.lifecycle_ids))[0]?.status, 'succeeded');
  });

  it('fails as HostLost where the host does not come back, and the lane is free', async () => {
    await agent.silence();
    const [row] = await world.ended((await mutate(['ftp'], { hostLostAfterMs: 3_000 })).lifecycle_ids);
    assert.match(row?.error ?? '', /^HostLost: /);
    assert.deepEqual(await servicesOf('a'), ['ssh']);
    await agent.listen();
    assert.equal((await world.ended((await mutate(['ftp'])).lifecycle_ids))[0]?.status, 'succeeded');
  });
});
