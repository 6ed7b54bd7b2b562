import assert from 'node:assert/strict';
import { createDeploymentReader } from '../../adapters/postgres/deployments.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { deployWorkflowId, localWorkflowId } from '../../fleet/housekeeping.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';
import { until } from '../support/until.ts';

const MISSING_IMAGE = '[custom-ghost]\nbinary=deckhand.invalid/ghost:1\nexec=\nports=\n';

describe('deployFleet', () => {
  let world: World;
  before(async () => {
    world = await createWorld();
  });
  after(() => world.close());

  const fleet = () => createFleetReader(world.database.sql).overview();
  const containers = async (name: string) => {
    const member = (await createFleetReader(world.database.sql).snapshot()).members.find(
      (one) => one.desired.config.name === name,
    );
    if (!member) return [];
    const [sight] = await world.local.engine.observe(world.local.resolve([member.desired]).deckies);
    return sight?.containers.map((one) => one.state) ?? [];
  };
  const name = (text: string) => `${world.id}-${text}`;

  it('brings deckies up, each with a row, and says so in the summary and the search attributes', async () => {
    const accepted = await world.deploy(`[${name('a')}]\nservices=redis,http\n[${name('b')}]\nservices=ssh\n`);
    const rows = await world.ended(accepted.lifecycle_ids);
    assert.deepEqual(
      rows.map((row) => [row.status, row.error]),
      [
        ['succeeded', null],
        ['succeeded', null],
      ],
    );
    assert.deepEqual(await containers(name('a')), ['running', 'running', 'running']);
    const handle = world.temporal.client.workflow.getHandle(deployWorkflowId(accepted.deployment_id));
    assert.deepEqual(await handle.result(), {
      outcome: 'succeeded',
      sentence: '2 succeeded, 0 failed',
      succeeded: 2,
      failed: 0,
    });
    const child = await world.temporal.client.workflow.getHandle(localWorkflowId(accepted.deployment_id, 1)).describe();
    assert.deepEqual(child.searchAttributes.DeckyName, [name('a'), name('b')]);
    const detail = await createDeploymentReader(world.database.sql).get(accepted.deployment_id);
    assert.deepEqual([detail?.outcome, detail?.waiting_for], ['succeeded', null]);
  });

  // proof: promise-9, one-bad-decky, gap-c2
  it('one decky’s failure is its own, says why, and leaves nothing behind (promise 9, gaps C2, B5)', async () => {
    const ini = (services: string) => `${MISSING_IMAGE}[${name('bad')}]\nservices=${services}\n`;
    const accepted = await world.deploy(`${ini('ghost')}[${name('good')}]\nservices=redis\n`);
    const rows = await world.ended(accepted.lifecycle_ids);
    assert.deepEqual(
      rows.map((row) => row.status),
      ['failed', 'succeeded'],
    );
    assert.match(
      rows[0]?.error ?? '',
      /^ImageUnavailable: .*deckhand\.invalid\/ghost:1.*what had been started was removed/s,
    );
    assert.deepEqual(await containers(name('bad')), []);
    const bad = (await fleet()).deckies.find((one) => one.name === name('bad'));
    assert.deepEqual([bad?.state, bad?.established], ['failed', false]);
    // Mended, the same name is taken without cleaning up by hand.
    const again = await world.deploy(ini('redis'));
    assert.equal((await world.ended(again.lifecycle_ids))[0]?.status, 'succeeded');
  });

  it('a decky that came up before comes back when its new version fails', async () => {
    const first = await world.deploy(`[${name('keep')}]\nservices=redis\n`);
    await world.ended(first.lifecycle_ids);
    const deckies = (await createFleetReader(world.database.sql).deckies()).filter((one) => one.name !== name('keep'));
    const others = deckies.map((one) => `[${one.name}]\nservices=${one.services.join(',')}\n`).join('');
    const second = await world.deploy(`${MISSING_IMAGE}${others}[${name('keep')}]\nservices=redis,ghost\n`, {
      replace: true,
    });
    const rows = await world.ended(second.lifecycle_ids);
    const keep = rows.find((row) => row.decky_name === name('keep'));
    assert.equal(keep?.status, 'failed');
    assert.match(keep?.error ?? '', /the last good version is back/);
    const seen = (await fleet()).deckies.find((one) => one.name === name('keep'));
    assert.deepEqual([seen?.services, seen?.state, seen?.established], [['redis'], 'running', true]);
    assert.deepEqual(await containers(name('keep')), ['running', 'running']);
  });

  // proof: promise-6
  it('the second of two operations waits for its turn and runs after the first (promise 6, gap B3)', async () => {
    const one = world.deploy(`[${name('q1')}]\nservices=redis\n`, { options: { minHealthyTimeMs: 2_000 } });
    const two = world.deploy(`[${name('q2')}]\nservices=redis\n`);
    const [first, second] = await Promise.all([one, two]);
    const ended = await world.ended([...first.lifecycle_ids, ...second.lifecycle_ids]);
    assert.deepEqual(
      ended.map((row) => row.status),
      ['succeeded', 'succeeded'],
    );
    for (const { deployment_id } of [first, second])
      await world.temporal.client.workflow.getHandle(deployWorkflowId(deployment_id)).result();
    const tickets = await world.database.sql<{ operation_id: string; closed_at: Date }[]>`
      select operation_id, closed_at from host_tickets where operation_id in ${world.database.sql([first.deployment_id, second.deployment_id])} order by number`;
    const times = tickets.map((ticket) => ticket.closed_at.getTime());
    assert.ok((times[0] ?? 0) <= (times[1] ?? 0), 'the lane was left in the order of the tickets');
  });

  it('a cancelled deploy ends every row, and the lane goes on', async () => {
    const accepted = await world.deploy(`[${name('stop')}]\nservices=redis\n`, {
      options: { minHealthyTimeMs: 60_000 },
    });
    await until('its containers', async () => (await containers(name('stop'))).length === 2);
    const handle = world.temporal.client.workflow.getHandle(deployWorkflowId(accepted.deployment_id));
    await handle.cancel();
    const rows = await world.ended(accepted.lifecycle_ids);
    assert.match(
      rows[0]?.error ?? '',
      /^Cancelled: .*before this decky was done \(what had been started was removed\)$/,
    );
    assert.deepEqual(await containers(name('stop')), []);
    const after = await world.deploy(`[${name('after')}]\nservices=redis\n`);
    assert.equal((await world.ended(after.lifecycle_ids))[0]?.status, 'succeeded');
  });

  it('a refused request is told why and leaves nothing (gap B1)', async () => {
    await assert.rejects(world.deploy(`[${name('after')}]\nservices=ssh\n`), { code: 'DeckyExists' });
    await assert.rejects(world.deploy(`[${name('x')}]\nservices=teleport\n`), { code: 'InvalidDecky' });
    assert.equal(
      (await fleet()).deckies.find((one) => one.name === name('x')),
      undefined,
    );
  });

  it('tears a decky down, base container included, as a row of its own', async () => {
    const { lifecycle_id } = await world.deployments.teardown({ username: 'admin', decky_name: name('good') });
    const rows = await world.ended([lifecycle_id]);
    assert.deepEqual([rows[0]?.operation, rows[0]?.status], ['teardown', 'succeeded']);
    assert.ok(!(await world.local.engine.deckies()).includes(name('good')));
    await assert.rejects(world.deployments.teardown({ username: 'admin', decky_name: name('good') }), {
      code: 'NotFound',
    });
  });

  // proof: promise-10, web-ui
  it('no secret of a service’s configuration is in the history (promise 10)', async () => {
    const secret = `s3cret-${world.id}`;
    const accepted = await world.deploy(
      `${MISSING_IMAGE}[${name('sec')}]\nservices=ssh,ghost\n[${name('sec')}.ssh]\npassword=${secret}\n`,
    );
    await world.ended(accepted.lifecycle_ids);
    for (const workflowId of [deployWorkflowId(accepted.deployment_id), localWorkflowId(accepted.deployment_id, 1)]) {
      const history = await world.temporal.client.workflow.getHandle(workflowId).fetchHistory();
      const payloads = JSON.stringify(history, (_key, value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value,
      );
      assert.ok(payloads.includes(accepted.deployment_id) || payloads.length > 100);
      assert.ok(!payloads.includes(secret), workflowId);
    }
  });
});
