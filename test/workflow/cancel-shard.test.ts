/** What becomes of a host's part of a deployment that is cancelled; agents are scripted, so that it is cancelled where it is meant to be. */
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { iniOf, statusesOf } from '../support/fixtures/named-deckies.ts';
import { scriptedSwarm } from '../support/temporal/scripted-swarm.ts';
import { until } from '../support/until.ts';

describe('a deploy over hosts that is cancelled', function () {
  this.timeout(120_000);
  const swarm = scriptedSwarm();

  it('C4: ends its rows, says what goes on there or that nothing was begun, and the lane goes on', async () => {
    const h1 = await swarm.agent('h1');
    const begun = await swarm.world.deploy(iniOf('a'));
    await until('h1 has the order', () => h1.orders.length === 1);
    const waiting = await swarm.world.deploy(iniOf('b'));
    for (const { deployment_id } of [waiting, begun]) await swarm.world.deployments.cancel(deployment_id);
    const rows = await swarm.world.ended([...begun.lifecycle_ids, ...waiting.lifecycle_ids]);
    assert.deepEqual(statusesOf(rows), { a: 'failed', b: 'failed' });
    const [a, b] = rows.map(({ error }) => error ?? '');
    assert.match(a ?? '', /^Cancelled: .*host h1 takes back what was not done/);
    assert.match(b ?? '', /^Cancelled: .*before host h1 was begun/);
    assert.equal(h1.orders.length, 1, 'nothing was sent for what waited');
    assert.deepEqual(h1.teardowns, [null], 'nothing else is there');
    h1.onDeploy = () => h1.report('succeeded');
    const after = await swarm.world.deploy(iniOf('c'));
    assert.deepEqual(statusesOf(await swarm.world.ended(after.lifecycle_ids)), { c: 'succeeded' });
  });

  // proof: promise-1
  it('C4: ends the rows of all its hosts, also those that wait for a slot of `max_parallel`', async () => {
    const agents = [await swarm.agent('h1'), await swarm.agent('h2'), await swarm.agent('h3')];
    const options = { minHealthyTimeMs: 0, maxParallel: 1 };
    const accepted = await swarm.world.deploy(iniOf('a', 'b', 'c'), { options });
    await until('one has its order', () => agents.some(({ orders }) => orders.length === 1));
    await swarm.world.deployments.cancel(accepted.deployment_id);
    const rows = await swarm.world.ended(accepted.lifecycle_ids);
    assert.deepEqual(statusesOf(rows), { a: 'failed', b: 'failed', c: 'failed' });
    for (const { error } of rows) assert.match(error ?? '', /^Cancelled: /);
    for (const agent of agents) agent.onDeploy = () => agent.report('succeeded');
    const after = await swarm.world.deploy(iniOf('d', 'e', 'f'));
    assert.deepEqual(statusesOf(await swarm.world.ended(after.lifecycle_ids)), {
      d: 'succeeded',
      e: 'succeeded',
      f: 'succeeded',
    });
  });

  it('C4: its host gets what was there before as a later attempt of the operation', async () => {
    const h1 = await swarm.agent('h1');
    h1.onDeploy = () => h1.report('succeeded');
    await swarm.world.ended((await swarm.world.deploy(iniOf('a'))).lifecycle_ids);
    h1.onDeploy = () => undefined;
    const accepted = await swarm.world.deploy(iniOf('b'));
    await until('h1 has the order', () => h1.orders.length === 2);
    await swarm.world.deployments.cancel(accepted.deployment_id);
    await swarm.world.ended(accepted.lifecycle_ids);
    const { config, deckhand } = h1.orders[2] ?? {};
    assert.deepEqual(
      config?.deckies.map(({ name }) => name),
      ['a'],
    );
    assert.deepEqual(
      [deckhand?.operation_id, deckhand?.attempt, deckhand?.deploy, deckhand?.remove],
      [accepted.deployment_id, 2, [], []],
    );
  });

  // proof: promise-8
  it('C4: leaves the host what it had reported as done, however slow the database is', async () => {
    const h1 = await swarm.agent('h1');
    const { sql } = swarm.world.database;
    const accepted = await swarm.world.deploy(iniOf('a', 'b', 'c'));
    await until('h1 has the order', () => h1.orders.length === 1);
    const database = await sql.reserve();
    await database`begin`;
    await database`select from decky_lifecycle where decky_name = 'a' for update`;
    await h1.report('succeeded', ['a']);
    await h1.report('succeeded', ['b']);
    await swarm.world.deployments.cancel(accepted.deployment_id);
    // Long enough for a recall that does not wait.
    await setTimeout(2_000);
    await database`rollback`;
    database.release();
    const rows = await swarm.world.ended(accepted.lifecycle_ids);
    assert.deepEqual(statusesOf(rows), { a: 'succeeded', b: 'succeeded', c: 'failed' });
    assert.deepEqual(
      h1.orders[1]?.config.deckies.map(({ name }) => name),
      ['a', 'b'],
    );
    assert.deepEqual(h1.teardowns, []);
  });

  it('C4: brings back what was on its way down, which can be taken down again', async () => {
    const h1 = await swarm.agent('h1');
    h1.onDeploy = () => h1.report('succeeded');
    await swarm.world.ended((await swarm.world.deploy(iniOf('a'))).lifecycle_ids);
    h1.onDeploy = () => undefined;
    const replaced = await swarm.world.deploy(iniOf('b'), { replace: true });
    await until('h1 has the order', () => h1.orders.length === 2);
    await swarm.world.deployments.cancel(replaced.deployment_id);
    const rows = await swarm.world.ended([...replaced.lifecycle_ids, ...replaced.removed_lifecycle_ids]);
    assert.deepEqual(statusesOf(rows), { a: 'failed', b: 'failed' });
    assert.deepEqual(
      h1.orders[2]?.config.deckies.map(({ name }) => name),
      ['a'],
    );
    const [a] = await swarm.world.database.sql<{ state: string; last_error: string }[]>`
      select state, last_error from fleet_deckies where name = 'a'`;
    assert.equal(a?.state, 'teardown_failed');
    assert.match(a?.last_error ?? '', /^Cancelled: /);
    const again = await swarm.world.deployments.teardown({ username: 'admin', decky_name: 'a' });
    assert.deepEqual(statusesOf(await swarm.world.ended([again.lifecycle_id])), { a: 'succeeded' });
  });

  it('C4: says what goes on where an agent knows no attempts, or is unreachable', async () => {
    const [h1, h2] = [await swarm.agent('h1', { fenced: false }), await swarm.agent('h2')];
    const accepted = await swarm.world.deploy(iniOf('a', 'b'));
    await until('both have their orders', () => h1.orders.length + h2.orders.length === 2);
    await h2.silence();
    await swarm.world.deployments.cancel(accepted.deployment_id);
    const rows = await swarm.world.ended(accepted.lifecycle_ids);
    for (const { error } of rows) assert.match(error ?? '', /^Cancelled: .* before goes on there/);
    assert.equal(h1.orders.length, 1);
  });
});
