import assert from 'node:assert/strict';
import { createConvergenceStore } from '../../adapters/postgres/drift.ts';
import { recordTransitions } from '../../adapters/postgres/rows.ts';
import type { Drift } from '../../fleet/drift.ts';
import { LOCAL_HOST, STATUS } from '../../fleet/lifecycle.ts';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness, GENERAL } from '../support/master/api-harness.ts';

const HOST = '5f0c6a5e-0000-4000-8000-000000000001';

describe('API: convergence', function () {
  this.timeout(60_000);
  let api: ApiHarness;
  let token: string;
  let viewer: string;

  before(async () => {
    api = await createApiHarness();
    token = await api.login('admin', ADMIN_PASSWORD);
    viewer = await api.viewer();
    await deployed('a', 'b', 'c');
    await sql()`insert into swarm_hosts (uuid, name, address, client_cert_fingerprint, status) values (${HOST}, 'h1', '127.0.0.1', 'f', 'active')`;
  });
  after(() => api.close());
  afterEach(async () => {
    await end();
    await keep(LOCAL_HOST);
    await keep(HOST);
  });

  const sql = () => api.database.sql;
  /** As a worker that brings everything up. */
  async function end(): Promise<void> {
    const rows = await sql()<{ id: string; decky_name: string }[]>`
      select id, decky_name from decky_lifecycle where status in ('pending', 'running')`;
    for (const status of [STATUS.running, STATUS.succeeded])
      await recordTransitions(
        sql(),
        rows.map((row) => ({ lifecycleId: row.id, deckyName: row.decky_name, status })),
      );
  }
  async function deployed(...names: string[]): Promise<void> {
    const ini_content = GENERAL + names.map((name) => `[${name}]\nservices=ssh\n`).join('');
    const answer = await api.call('POST', '/api/v1/deckies/deploy', { token, body: { ini_content } });
    assert.equal(answer.status, 202, answer.text);
    await end();
  }
  async function keep(hostKey: string, ...drift: [string, Drift['reason']][]): Promise<void> {
    const store = createConvergenceStore(sql());
    const entries = drift.map(([decky, reason]) => ({
      decky,
      reason,
      detail: reason === 'orphan' ? 'nobody wants its containers' : `${decky}: seen`,
    }));
    await store.keep(hostKey, { known: true, drift: entries }, await store.now());
  }
  const drift = async (query = '') => {
    const { status, json, text } = await api.call('GET', `/api/v1/drift${query}`, { token: viewer });
    assert.equal(status, 200, text);
    return json.drift.map((one: Record<string, unknown>) => `${one.decky_name} ${one.host_name} ${one.reason}`);
  };
  const reconcile = (body: object = {}) => api.call('POST', '/api/v1/reconcile', { token, body });
  const openRows = async () =>
    (
      await sql()<{ row: string }[]>`select decky_name || ' ' || operation as row from decky_lifecycle
        where status in ('pending', 'running') order by position`
    ).map(({ row }) => row);

  it('shows drift to viewers, by decky and by host, and keeps since when it is', async () => {
    await keep(LOCAL_HOST, ['a', 'missing'], ['b', 'exited']);
    await keep(HOST, ['x', 'orphan']);
    assert.deepEqual(await drift(), ['a null missing', 'b null exited', 'x h1 orphan']);
    assert.deepEqual(await drift('?decky=b'), ['b null exited']);
    assert.deepEqual(await drift('?host=local'), ['a null missing', 'b null exited']);
    assert.deepEqual([await drift('?host=h1'), await drift(`?host=${HOST}`)], [['x h1 orphan'], ['x h1 orphan']]);
    const since = async () => (await api.call('GET', '/api/v1/drift?decky=a', { token })).json.drift[0].since;
    const first = await since();
    await keep(LOCAL_HOST, ['a', 'missing']);
    assert.equal(await since(), first);
    assert.deepEqual(await drift('?host=local'), ['a null missing'], 'what is not seen any more is gone');
    const fleet = await api.call('GET', '/api/v1/fleet', { token: viewer });
    assert.deepEqual(
      fleet.json.deckies.map((one: { name: string; drift: string[] }) => [one.name, one.drift]),
      [
        ['a', ['missing']],
        ['b', []],
        ['c', []],
      ],
    );
  });

  it('says in a dry run what it would do, and does nothing', async () => {
    assert.deepEqual((await reconcile()).json, { message: 'Nothing drifts.', mending: [], unknown: [] });
    await keep(LOCAL_HOST, ['a', 'missing'], ['a', 'exited'], ['x', 'orphan']);
    const dry = await reconcile({ dry_run: true });
    assert.equal(dry.status, 200);
    assert.deepEqual(dry.json.mending, [
      { decky_name: 'a', host_uuid: null, action: 'deploy', reasons: ['exited', 'missing'] },
      { decky_name: 'x', host_uuid: null, action: 'teardown', reasons: ['orphan'] },
    ]);
    assert.deepEqual(await openRows(), []);
  });

  it('makes rows for what drifts alone, removals first, and a ticket; what is open is no drift any more', async () => {
    await keep(LOCAL_HOST, ['a', 'missing'], ['x', 'orphan']);
    const { status, json, headers } = await reconcile();
    assert.equal(status, 202);
    assert.deepEqual([json.lifecycle_ids.length, json.removed_lifecycle_ids.length], [1, 1]);
    assert.equal(headers.get('deckhand-deployment-id'), json.deployment_id);
    assert.deepEqual(await openRows(), ['x teardown', 'a deploy']);
    const tickets = await sql()`select 1 from host_tickets where operation_id = ${json.deployment_id}`;
    assert.equal(tickets.length, 1);
    assert.deepEqual([await drift(), (await reconcile()).status], [[], 200]);
    await end();
    assert.deepEqual(await drift(), [], 'what was seen before its row ended is out of date');
  });

  it('mends only what it is asked for, and refuses names and hosts that there are not', async () => {
    await keep(LOCAL_HOST, ['a', 'missing'], ['b', 'missing']);
    assert.equal((await reconcile({ host: 'h1' })).status, 200);
    assert.equal((await reconcile({ deckies: ['b', 'c'] })).status, 202);
    assert.deepEqual(await openRows(), ['b deploy']);
    const [decky, host] = [await reconcile({ deckies: ['nobody'] }), await reconcile({ host: 'nowhere' })];
    assert.deepEqual([decky.status, decky.json.detail], [404, 'Decky nobody not found']);
    assert.deepEqual([host.status, host.json.detail], [404, 'There is no host nowhere']);
  });

  it('leaves alone what nothing is known of, and an orphan whose name the fleet has elsewhere', async () => {
    await keep(LOCAL_HOST, ['a', 'missing']);
    await keep(HOST, ['b', 'orphan']);
    const store = createConvergenceStore(sql());
    await store.keep(LOCAL_HOST, { known: false, why: 'the engine is away' }, await store.now());
    const answer = await reconcile();
    assert.deepEqual([answer.status, answer.json.mending], [200, []]);
    assert.deepEqual(
      answer.json.unknown.map((one: { why: string; deckies: number }) => [one.why, one.deckies]),
      [['the engine is away', 3]],
    );
    assert.deepEqual(await drift(), ['a null missing', 'b h1 orphan']);
  });

  it('stops and starts a decky by a row of its own, and says why it can’t', async () => {
    const power = (kind: string, name = 'c') => api.call('POST', `/api/v1/deckies/${name}/${kind}`, { token });
    const stopped = async () => (await sql()`select state from fleet_deckies where name = 'c'`)[0]?.state;
    const first = await power('stop');
    assert.deepEqual([first.status, first.json.lifecycle_ids.length], [202, 1]);
    assert.match((await power('start')).json.detail, /^decky 'c' has an open deploy/);
    await end();
    assert.equal(await stopped(), 'stopped');
    const mutation = await api.call('POST', '/api/v1/deckies/c/mutate', { token, body: {} });
    assert.deepEqual(
      [mutation.status, mutation.json.detail],
      [409, "decky 'c' is stopped; start it before it is mutated."],
    );
    assert.equal((await power('start')).status, 202);
    await end();
    assert.equal(await stopped(), 'running');
    assert.equal((await power('stop', 'nobody')).status, 404);
    await sql()`update fleet_deckies set host_uuid = ${HOST} where name = 'c'`;
    const other = await power('stop');
    assert.deepEqual([other.status, other.headers.get('deckhand-error-code')], [409, 'HostCannot']);
    await sql()`update fleet_deckies set host_uuid = 'local' where name = 'c'`;
  });

  it('sets how often drift is mended, and is closed to viewers where it changes something', async () => {
    const set = (reconcile_interval: unknown) =>
      api.call('PUT', '/api/v1/config/reconcile-interval', { token, body: { reconcile_interval } });
    const seen = async () => (await api.call('GET', '/api/v1/drift', { token: viewer })).json.reconcile_interval;
    assert.equal(await seen(), null);
    assert.equal((await set('5m')).status, 200);
    assert.equal(await seen(), '5m');
    assert.equal((await set('5 minutes')).status, 422);
    assert.equal((await set(null)).status, 200);
    assert.equal(await seen(), null);
    for (const path of ['reconcile', 'deckies/a/stop', 'deckies/a/start'])
      assert.equal((await api.call('POST', `/api/v1/${path}`, { token: viewer, body: {} })).status, 403, path);
  });
});
