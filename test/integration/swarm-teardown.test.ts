/** Teardowns of hosts and of the fleet on both listeners: rows for what the fleet has, and the return of a host that was lost. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { recordTransitions } from '../../adapters/postgres/rows.ts';
import { createSwarmHarness, type SwarmHarness } from '../support/master/swarm-harness.ts';

describe('teardowns over the API', function () {
  this.timeout(60_000);
  let swarm: SwarmHarness;
  beforeEach(async () => {
    swarm = await createSwarmHarness();
  });
  afterEach(() => swarm.close());

  const api = (method: string, path: string, body?: unknown) =>
    swarm.api.call(method, `/api/v1${path}`, { token: swarm.admin, ...(body === undefined ? {} : { body }) });
  async function fleet(...names: string[]) {
    const host = await swarm.enroll('h1', { fenced: true });
    await swarm.deploy(names);
    await swarm.api.settle();
    return host;
  }
  const open = () =>
    swarm.api.database.sql<{ id: string; decky_name: string }[]>`
      select id, decky_name from decky_lifecycle where status in ('pending', 'running') order by decky_name`;
  async function lose(): Promise<void> {
    const rows = (await open()).map((row) => ({ lifecycleId: row.id, deckyName: row.decky_name }));
    const { sql } = swarm.api.database;
    await recordTransitions(
      sql,
      rows.map((row) => ({ ...row, status: 'running' as const })),
    );
    const error = 'HostLost: host h1 gave no sign of life for 90 s';
    await recordTransitions(
      sql,
      rows.map((row) => ({ ...row, status: 'failed' as const, error })),
    );
    await sql`update host_tickets set closed_at = now()`;
  }

  // proof: gap-b11
  it('of a host have a row for each decky that the fleet has there, and name those that are under way (gaps B17, C16)', async () => {
    const { host } = await fleet('a', 'b');
    const first = await api('POST', `/swarm/hosts/${host.uuid}/teardown`, { decky_id: null, host_lost_after: '30s' });
    const { host_uuid, host_name, decky_id, accepted, lifecycle_ids } = first.json;
    assert.deepEqual([first.status, host_uuid, host_name, decky_id, accepted], [202, host.uuid, 'h1', null, true]);
    assert.deepEqual(lifecycle_ids.sort(), (await open()).map((row) => row.id).sort());
    assert.equal(lifecycle_ids.length, 2);
    const again = await api('POST', `/swarm/hosts/${host.uuid}/teardown`, {});
    assert.deepEqual(again.json.lifecycle_ids.sort(), lifecycle_ids.sort());
    assert.equal((await api('POST', `/swarm/hosts/${host.uuid}/teardown`, { host_lost_after: 'soon' })).status, 422);
    await swarm.api.settle();
    assert.deepEqual((await api('GET', '/deckies')).json, []);
  });

  it('of one decky of a host are its own, and the controller’s answer says how its rows stand', async () => {
    const { host } = await fleet('a', 'b');
    const one = await api('POST', `/swarm/hosts/${host.uuid}/teardown`, { decky_id: 'a' });
    assert.equal(one.json.lifecycle_ids.length, 1);
    assert.deepEqual(
      (await open()).map((row) => row.decky_name),
      ['a'],
    );
    const call = { token: swarm.admin, body: { host_uuid: host.uuid } };
    const [result] = (await swarm.call('POST', '/swarm/teardown', call)).json.results;
    assert.deepEqual([result.host_name, result.ok], ['h1', false]);
    assert.match(result.detail, /^a: its teardown goes on\nb: its teardown goes on$/);
  });

  it('of the fleet are one request; without a fleet there is nothing to take down', async () => {
    assert.equal((await api('DELETE', '/deckies')).status, 404);
    await fleet('a', 'b', 'c');
    const answer = await api('DELETE', '/deckies?host_lost_after=30s');
    assert.equal(answer.status, 202, answer.text);
    assert.equal(answer.json.lifecycle_ids.length, 3);
    const id = answer.headers.get('deckhand-deployment-id');
    const detail = (await api('GET', `/deployments/${id}`)).json;
    assert.deepEqual([detail.kind, detail.counts.pending], ['teardown', 3]);
    assert.equal((await api('DELETE', '/deckies?host_lost_after=soon')).status, 422);
  });

  // proof: gap-b11
  it('by name leave no shard behind, though DECNET’s agent goes on reporting the decky (gap B17)', async () => {
    const host = await swarm.enroll('h1');
    await swarm.deploy(['a', 'b']);
    await swarm.api.settle();
    const deckies = (await api('GET', '/deckies')).json;
    const up = { running: true, services: { ssh: 'running' } };
    await swarm.heartbeat(host, { status: { deployed: true, deckies, runtime: { a: up, b: up } } });
    const shards = async () =>
      (await api('GET', '/swarm/deckies')).json.map((shard: { decky_name: string; state: string }) => [
        shard.decky_name,
        shard.state,
      ]);
    assert.deepEqual(await shards(), [
      ['a', 'running'],
      ['b', 'running'],
    ]);
    await api('DELETE', '/deckies/a');
    await swarm.api.settle();
    assert.deepEqual(await shards(), [['b', 'running']]);
    const down = { running: false, services: { ssh: 'absent' } };
    await swarm.heartbeat(host, { status: { deployed: true, deckies, runtime: { a: down, b: up } } });
    assert.deepEqual(await shards(), [['b', 'running']]);
  });

  it('are refused while another operation on one of the deckies is open', async () => {
    const { host } = await swarm.enroll('h1', { fenced: true });
    await swarm.deploy(['a']);
    const refused = await api('POST', `/swarm/hosts/${host.uuid}/teardown`, {});
    assert.deepEqual([refused.status, (await api('DELETE', '/deckies')).status], [409, 409]);
    assert.match(refused.json.detail, /decky 'a' has an open deploy/);
  });

  // proof: gap-b11
  it('begin anew with the first heartbeat of a host that was lost, once, whatever it reports (gap C16)', async () => {
    const host = await fleet('a', 'b');
    const before = { status: { deployed: false, deckies: [] } };
    assert.equal((await swarm.heartbeat(host, before)).status, 204);
    await api('DELETE', '/deckies');
    await lose();
    const states = (await api('GET', '/fleet')).json.deckies.map((decky: { state: string }) => decky.state);
    assert.deepEqual([states, (await open()).length], [['tearing_down', 'tearing_down'], 0]);
    assert.equal((await swarm.heartbeat(host, before)).status, 204);
    for (const end = Date.now() + 10_000; (await open()).length < 2; await pause(50))
      if (Date.now() > end) assert.fail('no teardown began within 10 s');
    await swarm.heartbeat(host, before);
    await swarm.heartbeat(host, { status: { deployed: true, deckies: [] } });
    await pause(300);
    const rows = await swarm.api.database.sql`select 1 from decky_lifecycle where operation = 'teardown'`;
    assert.equal(rows.length, 4);
    await swarm.api.settle();
    assert.deepEqual((await api('GET', '/deckies')).json, []);
  });
});
