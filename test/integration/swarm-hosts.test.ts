/** `/api/v1/swarm/hosts`, with agents that answer. */
import assert from 'node:assert/strict';
import { rememberMaster } from '../../adapters/postgres/enrollment.ts';
import { watchHosts } from '../../api/swarm/controller.ts';
import { swarmOperator } from '../support/master/swarm-operator.ts';
import { until } from '../support/until.ts';

describe('hosts', function () {
  this.timeout(60_000);
  const on = swarmOperator();
  const { api, hostWithAgent } = on;

  it('are asked when they are listed, and shown as they were found', async () => {
    const { uuid } = await hostWithAgent('answers');
    await on.swarm.enroll('silent');
    const { status, json } = await api('GET', '/swarm/hosts');
    assert.equal(status, 200);
    assert.deepEqual(
      json.map((host: { name: string; status: string }) => [host.name, host.status]),
      [
        ['answers', 'active'],
        ['silent', 'unreachable'],
      ],
    );
    assert.deepEqual((await api('GET', '/swarm/hosts?host_status=active')).json.length, 1);
    assert.deepEqual((await api('GET', '/swarm/hosts?host_status=odd')).json, []);
    const one = (await api('GET', `/swarm/hosts/${uuid}`)).json;
    assert.deepEqual([one.name, one.draining, one.fenced], ['answers', false, false]);
    assert.equal((await api('GET', '/swarm/hosts/nope')).status, 404);
    const mode = (await api('GET', '/system/deployment-mode')).json;
    assert.deepEqual(mode, { mode: 'swarm', role: 'master', swarm_host_count: 1 });
  });

  it('count for the mode of a deployment only where deckies may go to them', async () => {
    assert.equal((await api('GET', '/system/deployment-mode')).json.mode, 'unihost');
    const { host } = await on.swarm.enroll('h1');
    assert.equal((await api('GET', '/system/deployment-mode')).json.swarm_host_count, 1);
    await api('PATCH', `/swarm/hosts/${host.uuid}`, { draining: true });
    assert.deepEqual((await api('GET', '/system/deployment-mode')).json.mode, 'unihost');
  });

  it('are drained and renewed, and what is noted of them changed', async () => {
    const { host } = await on.swarm.enroll('h1');
    const path = `/swarm/hosts/${host.uuid}`;
    const changed = await api('PATCH', path, { draining: true, renew: true, use_ipvlan: true, notes: 'rack 5' });
    assert.equal(changed.status, 200, changed.text);
    const { draining, renew_requested, use_ipvlan, notes } = changed.json;
    assert.deepEqual(
      { draining, renew_requested, use_ipvlan, notes },
      { draining: true, renew_requested: true, use_ipvlan: true, notes: 'rack 5' },
    );
    assert.equal((await api('PATCH', path, { name: 'other' })).status, 400);
    assert.equal((await api('PATCH', path, { renew: false })).status, 422);
    assert.equal((await api('PATCH', '/swarm/hosts/nope', { renew: true })).status, 404);
  });

  it('are for administrators', async () => {
    const viewer = await on.swarm.api.viewer();
    for (const [method, path] of [
      ['GET', '/swarm/hosts'],
      ['GET', '/swarm/deckies'],
      ['POST', '/swarm/enrollments'],
      ['POST', '/swarm/enroll-bundle'],
      ['DELETE', '/swarm/hosts/x'],
    ] as const) {
      const body = method === 'POST' ? { body: {} } : {};
      assert.equal((await on.swarm.api.call(method, `/api/v1${path}`, { token: viewer, ...body })).status, 403, path);
      assert.equal((await on.swarm.api.call(method, `/api/v1${path}`, body)).status, 401, path);
    }
  });

  it('go at once; their agent is told where that is asked for', async () => {
    const told = await hostWithAgent('told');
    const quiet = await hostWithAgent('quiet');
    assert.equal((await api('DELETE', `/swarm/hosts/${told.uuid}?self_destruct=true`)).status, 204);
    assert.equal((await api('DELETE', `/swarm/hosts/${quiet.uuid}`)).status, 204);
    assert.deepEqual([told.agent.orders.map((order) => order.path), quiet.agent.orders], [['/self-destruct'], []]);
    assert.ok(await on.swarm.hosts.isRevoked(told.identity.fingerprint));
    assert.equal((await api('DELETE', `/swarm/hosts/${told.uuid}`)).status, 404);
  });

  it('leave deckies behind of which nobody says any more that they run', async () => {
    const { host } = await on.swarm.enroll('h1');
    const [row] = await on.swarm.deploy(['a']);
    assert.equal(row?.host_uuid, host.uuid);
    await on.swarm.dispatch([row.id]);
    await on.swarm.api.settle();
    const [before] = (await api('GET', '/fleet')).json.deckies;
    assert.equal(before.state, 'running');
    assert.equal((await api('DELETE', `/swarm/hosts/${host.uuid}`)).status, 204);
    const [after] = (await api('GET', '/fleet')).json.deckies;
    assert.deepEqual(
      [after.state, after.last_error],
      ['unknown', 'Host h1 was removed; what it left running is not known.'],
    );
  });

  it('at most 20 a minute go by the controller', async () => {
    const remove = () => on.swarm.call('DELETE', '/swarm/hosts/nope', { token: on.swarm.admin });
    for (let turn = 0; turn < 20; turn += 1) assert.equal((await remove()).status, 404);
    const late = await remove();
    assert.equal(late.status, 429);
    assert.match(String(late.headers['retry-after']), /^\d+$/);
  });

  // proof: renewal
  it('are all asked to renew when the master’s certificate is another, and only then', async () => {
    const { sql } = on.swarm.api.database;
    const { host } = await on.swarm.enroll('h1');
    const asked = async () => (await on.swarm.hosts.get(host.uuid))?.renewRequested;
    assert.deepEqual([await rememberMaster(sql, 'one'), await asked()], [false, false]);
    assert.deepEqual([await rememberMaster(sql, 'one'), await asked()], [false, false]);
    assert.deepEqual([await rememberMaster(sql, 'two'), await asked()], [true, true]);
    assert.equal(await rememberMaster(sql, 'two'), false);
  });

  it('that are silent, and a master’s certificate that is new, are seen by time alone', async () => {
    const { sql } = on.swarm.api.database;
    const { host } = await on.swarm.enroll('h1');
    await sql`update swarm_hosts set status = 'active', last_heartbeat = now() - interval '91 seconds'`;
    await rememberMaster(sql, 'an older one');
    const ending = new AbortController();
    const parts = { sql, authority: on.swarm.authority, logger: on.swarm.api.deps.logger, notReady: () => null };
    const watching = watchHosts(parts, ending.signal);
    const seen = await until(
      'the watch',
      async () => {
        const now = await on.swarm.hosts.get(host.uuid);
        return now?.renewRequested && now;
      },
      10_000,
    );
    assert.equal(seen.status, 'unreachable');
    ending.abort();
    await watching;
  });
});
