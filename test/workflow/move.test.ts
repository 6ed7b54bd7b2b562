import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { isDeckhandError } from '../../fleet/errors.ts';
import { type ScriptedAgent, scriptedAgent } from '../support/agents/scripted-agent.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

describe('moving what a host has', function () {
  this.timeout(60_000);
  let world: World;
  let h1: ScriptedAgent;
  let h2: ScriptedAgent;
  beforeEach(async () => {
    world = await createWorld();
    h1 = await scriptedAgent(world, 'h1');
    h2 = await scriptedAgent(world, 'h2');
    for (const agent of [h1, h2]) agent.onDeploy = () => agent.report('succeeded');
    const { lifecycle_ids } = await world.deploy('[a]\nservices=ssh\n[b]\nservices=http\n');
    await world.ended(lifecycle_ids);
  });
  afterEach(async () => {
    await Promise.all([h1.close(), h2.close()]);
    await world.close();
  });
  const move = (hostUuid: string, options = {}) =>
    world.deployments.operate({ username: 'admin', kind: 'move', request: { host_uuid: hostUuid }, options });
  const places = async () =>
    Object.fromEntries(
      (
        await world.database.sql<{ name: string; host: string }[]>`select name, host_uuid as host from fleet_deckies`
      ).map(({ name, host }) => [name, host]),
    );
  const h1Now = () => createHostStore(world.database.sql).get(h1.hostUuid);
  const pendingTeardowns = async () => (await h1Now())?.pendingTeardowns;

  // proof: move
  it('takes each down where it was, and brings it up on another host', async () => {
    const { lifecycle_ids } = await move(h1.hostUuid);
    const rows = await world.ended(lifecycle_ids);
    assert.deepEqual(
      rows.map((row) => [row.decky_name, row.host_uuid, row.status]),
      [['a', h2.hostUuid, 'succeeded']],
    );
    assert.deepEqual(
      h2.orders.at(-1)?.config.deckies.map((decky) => decky.name),
      ['a', 'b'],
    );
    assert.deepEqual([h1.teardowns, await pendingTeardowns(), (await h1Now())?.draining], [['a'], 0, true]);
    assert.deepEqual(await places(), { a: h2.hostUuid, b: h2.hostUuid });
  });

  // proof: move
  it('brings them up all the same where the host can’t be reached, which owes the teardown until it is back', async () => {
    await h1.silence();
    const { lifecycle_ids } = await move(h1.hostUuid, { hostLostAfterMs: 2_000 });
    const rows = await world.ended(lifecycle_ids);
    assert.deepEqual(
      rows.map((row) => [row.host_uuid, row.status]),
      [[h2.hostUuid, 'succeeded']],
    );
    assert.equal(await pendingTeardowns(), 1);
    await h1.listen();
    await createHostStore(world.database.sql).markReachable(h1.hostUuid);
    await world.temporal.client.workflow.execute('sweep', {
      workflowId: `sweep/${world.id}`,
      taskQueue: world.id,
      args: [],
    });
    await until('a host that owes nothing', async () => (await pendingTeardowns()) === 0);
    assert.deepEqual([h1.teardowns, await pendingTeardowns()], [[null], 0]);
    assert.deepEqual(await places(), { a: h2.hostUuid, b: h2.hostUuid });
  });

  /** What a host's return begins, at once. */
  async function sweep(): Promise<void> {
    await world.temporal.client.workflow.execute('sweep', {
      workflowId: `sweep/${world.id}/${randomUUID()}`,
      taskQueue: world.id,
      args: [],
    });
  }

  // proof: move
  it('leaves them where they run when it is cancelled before their host was told', async () => {
    const { sql } = world.database;
    await sql`update host_tickets set closed_at = null where host_uuid = ${h1.hostUuid}`;
    const { deployment_id, lifecycle_ids } = await move(h1.hostUuid);
    await until('a move that waits', async () => (await places()).a === h2.hostUuid);
    await world.deployments.cancel(deployment_id);
    const [row] = await world.ended(lifecycle_ids);
    assert.match(row?.error ?? '', /^Cancelled: /);
    assert.deepEqual([await places(), await pendingTeardowns()], [{ a: h1.hostUuid, b: h2.hostUuid }, 0]);
    await sweep();
    assert.deepEqual([h1.teardowns, h2.orders.length], [[], 1]);
  });

  // proof: move
  it('goes on to its end when it is cancelled while their host takes them down', async () => {
    let done = (): void => undefined;
    h1.onTeardown = () =>
      new Promise((resolve) => {
        done = resolve;
      });
    const { deployment_id, lifecycle_ids } = await move(h1.hostUuid);
    await until('h1 takes it down', () => h1.teardowns.length === 1);
    await world.deployments.cancel(deployment_id);
    done();
    const [row] = await world.ended(lifecycle_ids);
    assert.deepEqual([row?.status, await pendingTeardowns()], ['succeeded', 0]);
    assert.deepEqual(await places(), { a: h2.hostUuid, b: h2.hostUuid });
  });

  // proof: move
  it('leaves them with a host that was away where they do not come up elsewhere', async () => {
    await h1.silence();
    h2.onDeploy = () => h2.report('failed', ['a'], { error: 'ImageUnavailable: no such image' });
    const { lifecycle_ids } = await move(h1.hostUuid, { hostLostAfterMs: 2_000 });
    const [row] = await world.ended(lifecycle_ids);
    assert.equal(row?.status, 'failed');
    assert.deepEqual([await places(), await pendingTeardowns()], [{ a: h1.hostUuid, b: h2.hostUuid }, 0]);
    await h1.listen();
    for (const { hostUuid } of [h1, h2]) await createHostStore(world.database.sql).markReachable(hostUuid);
    h2.onDeploy = () => h2.report('succeeded');
    const before = h2.orders.length;
    await sweep();
    await until('the other host’s order to have it no more', () => h2.orders.length > before);
    assert.deepEqual(
      h2.orders.at(-1)?.config.deckies.map((decky) => decky.name),
      ['b'],
    );
    await until('nothing that is owed', async () => {
      const [owed] = await world.database.sql`select count(*)::int as all from owed_teardowns`;
      return owed?.all === 0;
    });
    assert.deepEqual([h1.teardowns, h1.orders.length], [[], 1]);
    assert.deepEqual(await places(), { a: h1.hostUuid, b: h2.hostUuid });
  });

  // proof: move
  it('is refused where no other host takes deckies, and where one is busy; nothing changes', async () => {
    await createHostStore(world.database.sql).setDraining(h2.hostUuid, true);
    const codeOf = (code: string) => (error: unknown) => isDeckhandError(error) && error.code === code;
    await assert.rejects(move(h1.hostUuid), codeOf('NoHost'));
    await createHostStore(world.database.sql).setDraining(h2.hostUuid, false);
    await h1.silence();
    await world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    await assert.rejects(move(h1.hostUuid), codeOf('DeckyBusy'));
    assert.deepEqual(await places(), { a: h1.hostUuid, b: h2.hostUuid });
    assert.deepEqual([await pendingTeardowns(), (await h1Now())?.draining], [0, false]);
  });
});
