/** `/api/v1/swarm` and the orders of the swarm controller, with agents that answer. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { rememberMaster } from '../../adapters/postgres/master-pin.ts';
import { bootstrapScript } from '../../api/swarm/bundle-files.ts';
import { watchHosts } from '../../api/swarm/watch.ts';
import { type AnsweringAgent, answeringAgent } from '../support/answering-agent.ts';
import type { Answer } from '../support/api-harness.ts';
import { createSwarmHarness, type SwarmHarness } from '../support/swarm-harness.ts';

const config = (name: string, hostUuid: string) => ({
  name,
  ip: '10.77.0.9',
  services: ['ssh'],
  distro: 'debian',
  base_image: 'debian',
  hostname: name,
  host_uuid: hostUuid,
});
const deployBody = (...deckies: object[]) => ({
  config: { mode: 'swarm', interface: 'eth0', subnet: '10.77.0.0/24', gateway: '10.77.0.1', deckies },
});

describe('hosts', function () {
  this.timeout(60_000);
  let swarm: SwarmHarness;
  const agents: AnsweringAgent[] = [];
  beforeEach(async () => {
    swarm = await createSwarmHarness();
  });
  afterEach(async () => {
    await swarm.close();
    for (const agent of agents.splice(0)) await agent.close();
  });

  const api = (method: string, path: string, body?: object): Promise<Answer> =>
    swarm.api.call(method, `/api/v1${path}`, { token: swarm.admin, ...(body === undefined ? {} : { body }) });
  async function hostWithAgent(name: string) {
    const identity = await swarm.authority.issue({ name, sans: ['127.0.0.1'] });
    const agent = await answeringAgent(identity);
    agents.push(agent);
    const enrolled = await swarm.enroll(name, { agentPort: agent.port });
    await swarm.hosts.certificateIssued(enrolled.host.uuid, identity.fingerprint, identity.notAfter);
    await swarm.hosts.adoptCertificate(enrolled.host.uuid, identity.fingerprint);
    return { uuid: enrolled.host.uuid, agent, identity };
  }
  async function until<T>(find: () => Promise<T | null | undefined | false>): Promise<T> {
    for (let turn = 0; turn < 100; turn += 1) {
      const found = await find();
      if (found) return found;
      await pause(50);
    }
    return assert.fail('waited in vain');
  }
  const shards = async () => (await api('GET', '/swarm/deckies')).json;

  it('are asked when they are listed, and shown as they were found', async () => {
    const { uuid } = await hostWithAgent('answers');
    await swarm.enroll('silent');
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
    const { host } = await swarm.enroll('h1');
    assert.equal((await api('GET', '/system/deployment-mode')).json.swarm_host_count, 1);
    await api('PATCH', `/swarm/hosts/${host.uuid}`, { draining: true });
    assert.deepEqual((await api('GET', '/system/deployment-mode')).json.mode, 'unihost');
  });

  it('are drained and renewed, and what is noted of them changed', async () => {
    const { host } = await swarm.enroll('h1');
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
    const viewer = await swarm.api.viewer();
    for (const [method, path] of [
      ['GET', '/swarm/hosts'],
      ['GET', '/swarm/deckies'],
      ['POST', '/swarm/enrollments'],
      ['POST', '/swarm/enroll-bundle'],
      ['DELETE', '/swarm/hosts/x'],
    ] as const) {
      const body = method === 'POST' ? { body: {} } : {};
      assert.equal((await swarm.api.call(method, `/api/v1${path}`, { token: viewer, ...body })).status, 403, path);
      assert.equal((await swarm.api.call(method, `/api/v1${path}`, body)).status, 401, path);
    }
  });

  it('go at once; their agent is told where that is asked for', async () => {
    const told = await hostWithAgent('told');
    const quiet = await hostWithAgent('quiet');
    assert.equal((await api('DELETE', `/swarm/hosts/${told.uuid}?self_destruct=true`)).status, 204);
    assert.equal((await api('DELETE', `/swarm/hosts/${quiet.uuid}`)).status, 204);
    assert.deepEqual([told.agent.orders.map((order) => order.path), quiet.agent.orders], [['/self-destruct'], []]);
    assert.ok(await swarm.hosts.isRevoked(told.identity.fingerprint));
    assert.equal((await api('DELETE', `/swarm/hosts/${told.uuid}`)).status, 404);
  });

  it('leave deckies behind of which nobody says any more that they run', async () => {
    const { host } = await swarm.enroll('h1');
    const [row] = await swarm.deploy(['a']);
    assert.equal(row?.host_uuid, host.uuid);
    await swarm.dispatch([row.id]);
    await swarm.api.settle();
    const [before] = (await api('GET', '/fleet')).json.deckies;
    assert.equal(before.state, 'running');
    assert.equal((await api('DELETE', `/swarm/hosts/${host.uuid}`)).status, 204);
    const [after] = (await api('GET', '/fleet')).json.deckies;
    assert.deepEqual(
      [after.state, after.last_error],
      ['torn_down', 'Host h1 was removed; what it left running is not known.'],
    );
  });

  it('at most 20 a minute go by the controller', async () => {
    const remove = () => swarm.call('DELETE', '/swarm/hosts/nope', { token: swarm.admin });
    for (let turn = 0; turn < 20; turn += 1) assert.equal((await remove()).status, 404);
    const late = await remove();
    assert.equal(late.status, 429);
    assert.match(String(late.headers['retry-after']), /^\d+$/);
  });

  it('teardown of a host is accepted at once, and its end is seen in the shards', async () => {
    const { uuid, agent } = await hostWithAgent('h1');
    await swarm.ports.reports.note(uuid, [
      {
        config: {
          ...config('a', uuid),
          build_base: 'x',
          archetype: null,
          service_config: {},
          nmap_os: 'linux',
          mutate_interval: null,
          last_mutated: 0,
          last_login_attempt: 0,
        },
        state: 'running',
        lastError: null,
      },
    ]);
    agent.answers.set('/teardown', { status: 500, body: { detail: 'docker is away' } });
    const failing = await api('POST', `/swarm/hosts/${uuid}/teardown`, { decky_id: null });
    assert.deepEqual(
      [failing.status, failing.json.accepted, failing.json.host_name, failing.json.decky_id],
      [202, true, 'h1', null],
    );
    const failed = await until(async () =>
      (await shards()).find((shard: { state: string }) => shard.state === 'teardown_failed'),
    );
    assert.match(failed.last_error, /docker is away/);
    agent.answers.delete('/teardown');
    await api('POST', `/swarm/hosts/${uuid}/teardown`, { decky_id: 'a' });
    await until(async () => (await shards()).length === 0);
    assert.deepEqual(
      agent.orders.map((order) => order.body.decky_id),
      [null, 'a'],
    );
    assert.equal((await api('POST', '/swarm/hosts/nope/teardown', {})).status, 404);
  });

  it('orders of the controller reach each host with its own deckies and its own driver (B15)', async () => {
    const one = await hostWithAgent('one');
    const other = await hostWithAgent('other');
    await swarm.hosts.change(other.uuid, { useIpvlan: true });
    const { host: dead } = await swarm.enroll('dead');
    const body = deployBody(config('a', one.uuid), config('b', other.uuid), config('c', dead.uuid));
    const answer = await swarm.call('POST', '/swarm/deploy', { token: swarm.admin, body });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(
      answer.json.results.map((result: { host_name: string; ok: boolean }) => [result.host_name, result.ok]),
      [
        ['one', true],
        ['other', true],
        ['dead', false],
      ],
    );
    const sent = [one, other].map(
      ({ agent }) => agent.orders[0]?.body as { config: { ipvlan: boolean; deckies: { name: string }[] } },
    );
    assert.deepEqual(
      sent.map((order) => [order.config.ipvlan, order.config.deckies.map((decky) => decky.name)]),
      [
        [false, ['a']],
        [true, ['b']],
      ],
    );
    assert.deepEqual(
      (await shards()).map((shard: { decky_name: string; state: string }) => [shard.decky_name, shard.state]),
      [
        ['a', 'pending'],
        ['b', 'pending'],
        ['c', 'failed'],
      ],
    );
  });

  it('what an agent says of a failure is cut free of secrets before it is kept or answered', async () => {
    const { uuid, agent } = await hostWithAgent('h1');
    const password = 'hunter2-of-an-order';
    for (const path of ['/deploy', '/teardown'])
      agent.answers.set(path, { status: 400, body: { detail: `bad --password=${password}` } });
    const decky = { ...config('a', uuid), service_config: { ssh: { password } } };
    const made = { token: swarm.admin, body: deployBody(decky) };
    const [deployed] = (await swarm.call('POST', '/swarm/deploy', made)).json.results;
    const [down] = (await swarm.call('POST', '/swarm/teardown', { token: swarm.admin, body: {} })).json.results;
    const [shard] = await shards();
    for (const text of [deployed.detail, down.detail, shard.last_error]) {
      assert.match(text, /bad --password=\[cut\]/);
      assert.ok(!text.includes(password));
    }
  });

  it('a decky of such an order is strict, and has to name its host', async () => {
    const { host } = await swarm.enroll('h1');
    const { host_uuid: _, ...homeless } = config('a', '');
    const without = await swarm.call('POST', '/swarm/deploy', { token: swarm.admin, body: deployBody(homeless) });
    assert.equal(without.status, 400);
    const odd = { ...config('a', host.uuid), surprise: 1 };
    const strict = await swarm.call('POST', '/swarm/deploy', { token: swarm.admin, body: deployBody(odd) });
    assert.deepEqual(
      [strict.status, strict.json.detail[0]?.type, strict.json.detail[0]?.loc],
      [422, 'extra_forbidden', ['body', 'config', 'deckies', 0, 'surprise']],
    );
  });

  it('orders keep off a host whose lane an operation has', async () => {
    const { uuid, agent } = await hostWithAgent('h1');
    await swarm.deploy(['a']);
    const order = { token: swarm.admin, body: deployBody(config('b', uuid)) };
    const [deployed] = (await swarm.call('POST', '/swarm/deploy', order)).json.results;
    assert.deepEqual([deployed.ok, agent.orders], [false, []]);
    assert.match(deployed.detail, /still open/);
    const [down] = (await swarm.call('POST', '/swarm/teardown', { token: swarm.admin, body: {} })).json.results;
    assert.deepEqual([down.ok, agent.orders], [false, []]);
    assert.equal((await api('POST', `/swarm/hosts/${uuid}/teardown`, {})).status, 409);
  });

  it('are all asked to renew when the master’s certificate is another, and only then', async () => {
    const { sql } = swarm.api.database;
    const { host } = await swarm.enroll('h1');
    const asked = async () => (await swarm.hosts.get(host.uuid))?.renewRequested;
    assert.deepEqual([await rememberMaster(sql, 'one'), await asked()], [false, false]);
    assert.deepEqual([await rememberMaster(sql, 'one'), await asked()], [false, false]);
    assert.deepEqual([await rememberMaster(sql, 'two'), await asked()], [true, true]);
    assert.equal(await rememberMaster(sql, 'two'), false);
  });

  it('that are silent, and a master’s certificate that is new, are seen by time alone', async () => {
    const { sql } = swarm.api.database;
    const { host } = await swarm.enroll('h1');
    await sql`update swarm_hosts set status = 'active', last_heartbeat = now() - interval '91 seconds'`;
    await rememberMaster(sql, 'an older one');
    const ending = new AbortController();
    const parts = { sql, authority: swarm.authority, logger: swarm.api.deps.logger, notReady: () => null };
    const watching = watchHosts(parts, ending.signal);
    const seen = await until(async () => {
      const now = await swarm.hosts.get(host.uuid);
      return now?.renewRequested && now;
    });
    assert.equal(seen.status, 'unreachable');
    ending.abort();
    await watching;
  });

  describe('bundles of DECNET', () => {
    const order = { master_host: '192.0.2.1', agent_name: 'rack4-1', use_ipvlan: true, services_ini: '[x]\n' };

    async function unpack(tarball: Buffer): Promise<Map<string, string>> {
      const files = new Map<string, string>();
      const reader = extract();
      reader.end(gunzipSync(tarball));
      for await (const entry of reader) {
        const chunks: Buffer[] = [];
        for await (const chunk of entry) chunks.push(chunk as Buffer);
        files.set(entry.header.name, Buffer.concat(chunks).toString());
      }
      return files;
    }
    const fetchBundle = (token: string, kind: string) =>
      swarm.api.app.request(`/api/v1/swarm/enroll-bundle/${token}.${kind}`);

    it('are fetched once, and carry a certificate that names the address of who fetched it (gaps, D)', async () => {
      const made = await api('POST', '/swarm/enroll-bundle', order);
      assert.equal(made.status, 201, made.text);
      const { token, command, host_uuid: uuid } = made.json;
      assert.match(command, new RegExp(`^curl -fsSL http://192\\.0\\.2\\.1.*/${token}\\.sh \\| sudo sh$`));
      assert.equal((await swarm.hosts.get(uuid))?.address, '');
      assert.equal((await api('GET', '/system/deployment-mode')).json.swarm_host_count, 0, 'nobody knows where it is');
      const script = await (await fetchBundle(token, 'sh')).text();
      assert.ok(script.includes(`/${token}.tgz`));
      const answers = await Promise.all([fetchBundle(token, 'tgz'), fetchBundle(token, 'tgz')]);
      assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 404]);
      const tarball = answers.find((answer) => answer.status === 200);
      assert.ok(tarball);
      const files = await unpack(Buffer.from(await tarball.arrayBuffer()));
      assert.deepEqual([...files.keys()].sort(), [
        'etc/decnet/decnet.ini',
        'etc/systemd/system/decnet-agent.service',
        'home/.decnet/agent/ca.crt',
        'home/.decnet/agent/worker.crt',
        'home/.decnet/agent/worker.key',
        'home/.decnet/updater/ca.crt',
        'home/.decnet/updater/updater.crt',
        'home/.decnet/updater/updater.key',
        'install.sh',
        'services.ini',
      ]);
      assert.match(files.get('etc/decnet/decnet.ini') ?? '', new RegExp(`host-uuid = ${uuid}\n`));
      assert.match(files.get('etc/decnet/decnet.ini') ?? '', /master-host = 192\.0\.2\.1\nswarmctl-port = \d+\n/);
      const certificate = new X509Certificate(files.get('home/.decnet/agent/worker.crt') ?? '');
      for (const name of ['127.0.0.1', '192.0.2.1']) assert.ok(certificate.checkIP(name), name);
      assert.ok(certificate.checkHost('rack4-1'));
      const host = await swarm.hosts.get(uuid);
      assert.deepEqual([host?.address, host?.useIpvlan], ['127.0.0.1', true]);
      const identity = { certPem: certificate.toString(), keyPem: files.get('home/.decnet/agent/worker.key') ?? '' };
      const body = { host_uuid: uuid, status: { deployed: false, deckies: [] } };
      assert.equal((await swarm.call('POST', '/swarm/heartbeat', { identity, body })).status, 204);
    });

    it('install the whole package, and a service that names where the certificates lie (gaps, D)', async () => {
      const made = await api('POST', '/swarm/enroll-bundle', { ...order, agent_name: 'rack4-2' });
      const files = await unpack(Buffer.from(await (await fetchBundle(made.json.token, 'tgz')).arrayBuffer()));
      const install = files.get('install.sh') ?? '';
      assert.match(install, /pip install .*decnet==/);
      const directory =
        /install .*worker\.crt home\/\.decnet\/agent\/worker\.key (\S+)\//.exec(install)?.[1] ?? 'nowhere';
      const service = files.get('etc/systemd/system/decnet-agent.service') ?? '';
      assert.match(service, new RegExp(`^ExecStart=.* agent --agent-dir ${directory} `, 'm'));
    });

    it('stay on this machine over plain HTTP', async () => {
      const made = await api('POST', '/swarm/enroll-bundle', order);
      const from = (remoteAddress: string) =>
        swarm.api.app.request(`/api/v1/swarm/enroll-bundle/${made.json.token}.tgz`, {}, {
          incoming: { socket: { remoteAddress } },
        } as never);
      const refused = await from('192.0.2.9');
      assert.equal(refused.status, 403);
      assert.match(((await refused.json()) as { detail: string }).detail, /DECKHAND_PLAIN_BUNDLES/);
      assert.equal((await from('127.0.0.1')).status, 200);
    });

    it('ten a minute are made, and odd names not at all', async () => {
      assert.equal((await api('POST', '/swarm/enroll-bundle', { ...order, agent_name: 'Rack' })).status, 422);
      for (let turn = 0; turn < 10; turn += 1) {
        const made = await api('POST', '/swarm/enroll-bundle', { ...order, agent_name: `rack-${turn}` });
        assert.equal(made.status, 201);
      }
      assert.equal((await api('POST', '/swarm/enroll-bundle', { ...order, agent_name: 'rack-10' })).status, 429);
      assert.equal((await fetchBundle('nothing', 'sh')).status, 404);
    });

    it('their script runs what it fetched and leaves nothing', () => {
      const script = bootstrapScript('http://192.0.2.1:8000/x.tgz');
      assert.match(script, /trap 'rm -rf "\$dir"' EXIT/);
      assert.match(script, /sh "\$dir\/install\.sh"/);
    });
  });
});
