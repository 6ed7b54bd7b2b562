/** The tables of the swarm controller and of enrolment, row by row (wire 2, 4.1, 4.4). What an agent answers (wire 3) runs with a real one elsewhere. */
import assert from 'node:assert/strict';
import { createSwarmHarness, type SwarmCall, type SwarmHarness } from '../support/master/swarm-harness.ts';
import { answers, keysOf, row, shownBy } from './rows.ts';

type Enrolled = Awaited<ReturnType<SwarmHarness['enroll']>>;

const NOWHERE = '00000000-0000-4000-8000-000000000000';
const STATUS = { deployed: false, deckies: [] };
const HOST_KEYS = [
  'address',
  'agent_port',
  'client_cert_fingerprint',
  'enrolled_at',
  'last_heartbeat',
  'name',
  'notes',
  'status',
  'updater_cert_fingerprint',
  'use_ipvlan',
  'uuid',
];

describe('conformance: the tables of the swarm controller', function () {
  this.timeout(60_000);
  let swarm: SwarmHarness;
  let h1: Enrolled;
  let h2: Enrolled;

  const operator = (method: string, path: string, call: SwarmCall = {}) =>
    swarm.call(method, path, { token: swarm.admin, ...call });
  const beat = (body: object, host = h1) => swarm.heartbeat(host, body);
  const deltas = (...lifecycle: unknown[]) => beat({ lifecycle });

  before(async () => {
    swarm = await createSwarmHarness();
    h1 = await swarm.enroll('tables-1');
    h2 = await swarm.enroll('tables-2');
  });
  after(() => swarm?.close());

  row('wire 2 gate', 'operators need an admin’s token; an agent’s certificate does not open their routes', async () => {
    answers(await operator('GET', '/swarm/hosts', { token: null }), 401);
    answers(await operator('GET', '/swarm/hosts', { identity: h1.identity }), 403);
    answers(await operator('GET', '/swarm/hosts', { identity: await swarm.authority.master() }), 200);
  });
  row('wire 2 errors', 'a wrong body is 422 with a list', async () => {
    const { json } = answers(await operator('POST', '/swarm/enroll', { body: {} }), 422);
    assert.deepEqual(keysOf(json.detail[0]).slice(0, 4), ['input', 'loc', 'msg', 'type']);
    answers(await operator('POST', '/swarm/enroll', { raw: '{' }), 422);
  });
  row('wire 2 health', 'without a token, on both paths', async () => {
    for (const path of ['/health', '/swarm/health'])
      assert.deepEqual((await swarm.call('GET', path)).json, { status: 'ok', role: 'swarm-controller' });
  });

  describe('heartbeats (wire 2.1)', () => {
    // proof: conformance
    row('wire 2.1 order', 'the body first (422), then the host (404), then its certificate (403)', async () => {
      answers(await beat({ host_uuid: 5 }), 422);
      answers(await beat({ host_uuid: NOWHERE }), 404, 'unknown host');
      answers(
        await swarm.call('POST', '/swarm/heartbeat', { body: { host_uuid: h1.host.uuid, status: STATUS } }),
        403,
        /unavailable/,
      );
      answers(await beat({ host_uuid: h2.host.uuid }), 403, /mismatch/);
    });
    row('wire 2.1 body row 1', '`host_uuid` is a text, and has to be there', async () => {
      answers(await beat({ host_uuid: null }), 422);
    });
    row('wire 2.1 body row 2', '`agent_version` may be there', async () => {
      for (const agent_version of ['1.0.0', null]) answers(await beat({ agent_version }), 204);
    });
    row('wire 2.1 body row 3', '`status` has to be an object', async () => {
      answers(await beat({ status: 'well' }), 422);
      answers(await beat({ status: undefined }), 422);
    });
    row('wire 2.1 body row 4', '`topology` is let through', async () => {
      answers(await beat({ topology: null }), 204);
      answers(await beat({ topology: { topology_id: 't', applied_version_hash: 'x' } }), 204);
    });
    row('wire 2.1 body row 5', '`lifecycle` may be null; unknown fields are ignored', async () => {
      answers(await beat({ lifecycle: null, weather: 'fine' }), 204);
    });
    row('wire 2.1 success', '204 without a body; the host is active and was seen', async () => {
      assert.equal(answers(await beat({}), 204).text, '');
      const host = answers(await operator('GET', `/swarm/hosts/${h1.host.uuid}`), 200).json;
      assert.equal(host.status, 'active');
      assert.match(host.last_heartbeat, /^\d{4}-\d\d-\d\dT[\d:]+\.\d{6}Z$/);
    });
    row('wire 2.1 delta row 1', 'one without decky, operation or status is skipped', async () => {
      answers(await deltas({ operation: 'deploy', status: 'failed' }, { decky_name: 'a' }, {}), 204);
    });
    row('wire 2.1 delta row 2', 'one with another status is skipped', async () => {
      answers(await deltas({ decky_name: 'a', operation: 'deploy', status: 'pending' }), 204);
    });
    shownBy(
      'wire 2.1 delta row 3',
      'it belongs to the open row of that decky, operation and host',
      'integration/swarm-deltas.test.ts',
      'reach the workflow that owns the rows, in one signal and in their order',
    );
    row('wire 2.1 delta row 4', 'without an open row it is ignored', async () => {
      answers(await deltas({ decky_name: 'nobody', operation: 'mutate', status: 'succeeded' }), 204);
    });
    shownBy(
      'wire 2.1 delta row 5',
      'its error is cut to 2,000 characters',
      'integration/swarm-deltas.test.ts',
      'carry no secret, and no more than 2000 characters',
    );
    row(
      'wire 2.1 delta row 6',
      'a running one with `completed_at`, and a time that is none, are no error',
      async () => {
        const running = { decky_name: 'a', operation: 'deploy', status: 'running' };
        answers(
          await deltas({ ...running, completed_at: '2026-11-23T19:00:37Z' }, { ...running, completed_at: 'soon' }),
          204,
        );
      },
    );
    shownBy(
      'wire 2.1 delta row 7',
      'a row that has ended never changes',
      'integration/swarm-deltas.test.ts',
      'for a row that has ended change nothing',
    );
    shownBy(
      'wire 2.1 delta row 8',
      'there are no two open rows for a decky',
      'integration/postgres-rows.test.ts',
      'a decky has one open row at most',
    );
    row('wire 2.1 delta row 9', 'a list that is none, or an item that is no object, is 422', async () => {
      answers(await beat({ lifecycle: 'none' }), 422);
      answers(await deltas('none'), 422);
    });
    shownBy(
      'wire 2.1 shards',
      'what a report says becomes the shard; an entry that is no DeckyConfig is skipped',
      'integration/swarm-reports.test.ts',
      'an entry that is no DeckyConfig is skipped, and does not make its decky vanish',
    );
  });

  describe('the operators’ routes (wire 2.2)', () => {
    row('wire 2.2 row 2', 'hosts by name, without asking them, filtered by status', async () => {
      const { json } = answers(await operator('GET', '/swarm/hosts'), 200);
      assert.deepEqual(
        json.map(({ name }: { name: string }) => name),
        ['tables-1', 'tables-2'],
      );
      for (const key of HOST_KEYS) assert.ok(key in json[0], key);
      const active = answers(await operator('GET', '/swarm/hosts?host_status=active'), 200).json;
      assert.deepEqual(
        active.map(({ name }: { name: string }) => name),
        ['tables-1'],
      );
    });
    row('wire 2.2 row 3', 'a host, or 404', async () => {
      assert.equal(answers(await operator('GET', `/swarm/hosts/${h2.host.uuid}`), 200).json.name, 'tables-2');
      answers(await operator('GET', `/swarm/hosts/${NOWHERE}`), 404);
    });
    row('wire 2.2 row 4', 'a host goes (204), once', async () => {
      const gone = await swarm.enroll('tables-gone');
      answers(await operator('DELETE', `/swarm/hosts/${gone.host.uuid}`), 204);
      answers(await operator('DELETE', `/swarm/hosts/${gone.host.uuid}`), 404);
    });
    shownBy(
      'wire 2.2 row 4, rate',
      '20 a minute, then 429',
      'integration/swarm-hosts.test.ts',
      'at most 20 a minute go by the controller',
    );
    row('wire 2.2 row 5', 'a deploy needs mode swarm and known hosts', async () => {
      const decky = {
        name: 'a',
        ip: '10.77.0.9',
        services: ['ssh'],
        distro: 'debian',
        base_image: 'b',
        build_base: 'b',
        hostname: 'h',
      };
      const config = {
        mode: 'swarm',
        interface: 'eth0',
        subnet: '10.77.0.0/24',
        gateway: '10.77.0.1',
        deckies: [decky],
      };
      const order = (change: object) =>
        operator('POST', '/swarm/deploy', { body: { config: { ...config, ...change } } });
      answers(await order({ mode: 'unihost' }), 400);
      answers(await order({}), 400);
      answers(await order({ deckies: [{ ...decky, host_uuid: NOWHERE }] }), 404);
      answers(await order({ deckies: [{ ...decky, colour: 'red' }] }), 422);
    });
    shownBy(
      'wire 2.2 row 5, answer',
      'each host gets its own deckies and its own driver',
      'integration/swarm-orders.test.ts',
      'orders of the controller reach each host with its own deckies and its own driver (B15)',
    );
    row('wire 2.2 row 6', 'a teardown of an unknown host is 404', async () => {
      answers(await operator('POST', '/swarm/teardown', { body: { host_uuid: NOWHERE } }), 404);
    });
    row('wire 2.2 row 7', 'a check tells of each host whether it can be reached, and notes it', async () => {
      const { results } = answers(await operator('POST', '/swarm/check'), 200).json;
      assert.deepEqual(keysOf(results[0]), ['address', 'detail', 'host_uuid', 'name', 'reachable']);
      assert.deepEqual(
        results.map(({ reachable }: { reachable: boolean }) => reachable),
        [false, false],
      );
      assert.equal((await operator('GET', `/swarm/hosts/${h1.host.uuid}`)).json.status, 'unreachable');
    });
    row('wire 2.2 row 8', 'shards are a list, filtered', async () => {
      for (const query of ['', `?host_uuid=${h1.host.uuid}`, '?state=running'])
        assert.deepEqual(answers(await operator('GET', `/swarm/deckies${query}`), 200).json, []);
    });
  });

  describe('enrolment (wire 4.1, 4.4)', () => {
    const enroll = (body: object) => operator('POST', '/swarm/enroll', { body });
    row('wire 4.1 answer', '201 with identity and fingerprint; no updater unless asked for', async () => {
      const { json } = answers(await enroll({ name: 'tables-new', address: '192.0.2.9' }), 201);
      const wanted = [
        'address',
        'agent_port',
        'ca_cert_pem',
        'fingerprint',
        'host_uuid',
        'name',
        'updater',
        'worker_cert_pem',
        'worker_key_pem',
      ];
      assert.deepEqual(keysOf(json), wanted);
      assert.deepEqual([json.agent_port, json.updater], [8765, null]);
      const host = (await operator('GET', `/swarm/hosts/${json.host_uuid}`)).json;
      assert.deepEqual(
        [host.status, host.use_ipvlan, host.client_cert_fingerprint],
        ['enrolled', false, json.fingerprint],
      );
    });
    row('wire 4.1 conflict', 'a name twice is 409', async () => {
      answers(await enroll({ name: 'tables-new', address: '192.0.2.9' }), 409);
    });
    row('wire 4.1 fields', 'names, addresses and ports within their patterns, else 422', async () => {
      const good = { name: 'tables-odd', address: '192.0.2.9' };
      for (const change of [
        { name: '-x' },
        { name: 'x'.repeat(65) },
        { address: 'a b' },
        { agent_port: 0 },
        { agent_port: 65_536 },
        { sans: ['a b'] },
        { notes: 5 },
      ])
        answers(await enroll({ ...good, ...change }), 422);
    });
    shownBy(
      'wire 4.1 updater',
      'its certificate where it is asked for',
      'integration/swarm-enrollment.test.ts',
      'DECNET’s enrolment hands out an updater’s certificate where it is asked for',
    );
    row('wire 4.4 answer', 'a token, a command and when they end', async () => {
      const body = { master_host: '192.0.2.1', agent_name: 'tables-bundle' };
      const answer = await swarm.api.call('POST', '/api/v1/swarm/enroll-bundle', { token: swarm.admin, body });
      const { json } = answers(answer, 201);
      assert.deepEqual(keysOf(json), ['command', 'expires_at', 'host_uuid', 'token']);
      const path = `/api/v1/swarm/enroll-bundle/${json.token}`;
      answers(await swarm.api.call('GET', `${path}.sh`), 200, /^#!/);
    });
    row('wire 4.4 fields', 'an odd name is refused; a token that is none is 404', async () => {
      const body = { master_host: '192.0.2.1', agent_name: 'Odd Name' };
      answers(await swarm.api.call('POST', '/api/v1/swarm/enroll-bundle', { token: swarm.admin, body }), 422);
      answers(await swarm.api.call('GET', '/api/v1/swarm/enroll-bundle/unknown.tgz'), 404);
    });
    shownBy(
      'wire 4.4 once',
      'the bundle can be had once',
      'integration/swarm-bundles.test.ts',
      'are fetched once, and carry a certificate that names the address of who fetched it (gaps, D)',
    );
    shownBy(
      'wire 4.4 rate',
      'ten a minute',
      'integration/swarm-bundles.test.ts',
      'ten a minute are made, and odd names not at all',
    );
  });

  describe('the hosts by the API (wire 1.9)', () => {
    const ask = (method: string, path: string, body?: unknown) =>
      swarm.api.call(method, `/api/v1/swarm/${path}`, { token: swarm.admin, ...(body === undefined ? {} : { body }) });
    row('wire 1.9 hosts', 'a list, a host that goes, and 404', async () => {
      assert.ok(Array.isArray(answers(await ask('GET', 'hosts'), 200).json));
      const gone = await swarm.enroll('tables-leaves');
      answers(await ask('DELETE', `hosts/${gone.host.uuid}`), 204);
      answers(await ask('DELETE', `hosts/${gone.host.uuid}`), 404);
    });
    row('wire 1.9 shards', 'a list, filtered', async () => {
      assert.deepEqual(answers(await ask('GET', `deckies?host_uuid=${h1.host.uuid}&state=running`), 200).json, []);
    });
    row('wire 1.9 teardown', '202 at once, with the host; 404 for another', async () => {
      const { json } = answers(await ask('POST', `hosts/${h2.host.uuid}/teardown`, { decky_id: null }), 202);
      assert.deepEqual(
        [json.host_uuid, json.host_name, json.decky_id, json.accepted],
        [h2.host.uuid, 'tables-2', null, true],
      );
      answers(await ask('POST', `hosts/${NOWHERE}/teardown`, { decky_id: null }), 404);
    });
  });
});

describe('conformance: the table of the agent', () => {
  const DEPLOYS = 'integration/agent-deploy.test.ts';
  shownBy('wire 3 row 1', '/health', 'integration/access-matrix.test.ts', 'on an agent');
  shownBy(
    'wire 3 row 2',
    '/status',
    DEPLOYS,
    'takes a deploy at once, brings the containers up, and reports each decky with its fence',
  );
  shownBy(
    'wire 3 row 3',
    '/deploy',
    DEPLOYS,
    'takes an order of a master of DECNET, without a fence, and reports without one',
  );
  shownBy(
    'wire 3 row 4',
    '/mutate',
    DEPLOYS,
    'B3: works off a deploy and a mutation of the same decky one after the other',
  );
  shownBy(
    'wire 3 row 4, dry',
    'a dry mutation is 200 or 404',
    'integration/agent-trust.test.ts',
    'answers a dry mutation, and one of a decky that it does not have',
  );
  shownBy(
    'wire 3 row 5',
    '/teardown',
    DEPLOYS,
    'answers a teardown when it is down, and the last one takes the network along',
  );
  shownBy(
    'wire 3 row 6',
    '/self-destruct',
    'integration/agent-crash.test.ts',
    'removes its own containers and stops when it is told to destroy itself, and nothing else',
  );
  shownBy(
    'wire 3 errors',
    'bodies that are not right',
    'integration/agent-trust.test.ts',
    'answers bodies that are not right as DECNET’s agent does',
  );
});
