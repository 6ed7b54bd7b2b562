/** A fleet full of marked secrets is deployed, fails, mutates and goes; then all that it left behind is searched for them (promise 10). */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join as joinPath } from 'node:path';
import { type Identity, openAuthority } from '../../adapters/pki/authority.ts';
import { join } from '../../agent/joining.ts';
import { loadBuiltinImages } from '../../decoys/images.ts';
import { connectDocker } from '../../engine/docker/transport.ts';
import { OPERATOR_ACCESS, SWARM_ACCESS } from '../support/master/access-table.ts';
import { type MasterProgram, startMaster } from '../support/master/master-program.ts';
import { eventsOf, found, rowsOf, type Sink, workflowsOf } from '../support/reading/secret-search.ts';
import { type Collector, startCollector } from '../support/servers/collector.ts';
import { freePort } from '../support/servers/free-port.ts';
import { type LoggedProcess, spawnLogged } from '../support/stack/logged-process.ts';
import { testDirectory, testServers } from '../support/stack/stack.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

const mark = (what: string): string => `marked-${what}-${randomBytes(12).toString('hex')}`;
const b64 = (text: string): string => `b64:${Buffer.from(text).toString('base64')}`;

/** Of the fleet, in every way in which an INI can carry one. */
const FLEET: Record<string, string> = {
  password: mark('password'),
  'upstream password': mark('upstream'),
  'argument of a command': mark('argument'),
  'variable of a command': mark('variable'),
  'password of a missing image': mark('ghost'),
};
/** Of people. Tokens come to it as they are made. */
const PEOPLE: Record<string, string> = {
  'password of the admin': mark('admin'),
  'password of a viewer': mark('viewer'),
  'new password of a viewer': mark('viewer-new'),
  'reset password of a viewer': mark('viewer-reset'),
  'wrong password': mark('wrong'),
  'secret that signs tokens': mark('jwt'),
};

/** Columns that must hold the fleet's configuration: it is deployed from there, and again after a loss (docs/design.md#lost-workflows). */
const CONFIGURATION = new Set([
  'deployments.request',
  'fleet_deckies.decky_config',
  'fleet_deckies.custom_services',
  'fleet_deckies.established',
  'decky_shards.decky_config',
]);

/** Answers that show configuration because the contract says so: whole DeckyConfigs and ShardViews (docs/wire.md#shards). */
const CONTRACT = ['GET /api/v1/deckies', 'GET /api/v1/swarm/deckies', 'swarm GET /swarm/deckies'];

describe('secrets', function () {
  this.timeout(280_000);
  let collector: Collector;
  let world: World;
  let master: MasterProgram;
  let worker: LoggedProcess;
  let agent: LoggedProcess | null = null;
  let image = '';
  let tls: Identity;
  const metricsPorts: number[] = [];
  const names: string[] = [];

  before(async function () {
    if (!testServers.dockerHost) this.skip();
    collector = await startCollector();
    world = await createWorld({ worker: false });
    const tracing = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '200' };
    Object.assign(world.environment, tracing, { DECKHAND_LOG_LEVEL: 'trace' });
    worker = await spawnLogged('worker', [], await measured(world.environment), '"worker ready"');
    master = await startMaster(world, {
      DECKHAND_ADMIN_PASSWORD: PEOPLE['password of the admin'],
      DECKHAND_JWT_SECRET: PEOPLE['secret that signs tokens'],
    });
    image = (await loadBuiltinImages({ cacheDir: world.config.cache })).baseImage;
    tls = await (await openAuthority(joinPath(testDirectory('secrets-tls'), 'ca'))).issue({ name: 'web', sans: [] });
    FLEET['key in base64'] = b64(tls.keyPem);
    FLEET['line of a key'] = tls.keyPem.split('\n')[1] ?? assert.fail('no key');
    await people();
    await fleet('local');
    await enrol();
    await fleet('remote');
  });
  after(async () => {
    await agent?.end();
    await master?.kill('SIGTERM');
    await worker?.end();
    await leaveEngine();
    await world?.close();
    await collector?.stop();
  });

  /** What runs on after its agent by design. */
  async function leaveEngine(): Promise<void> {
    if (!world || !testServers.dockerHost) return;
    const docker = connectDocker(testServers.dockerHost);
    const filters = { label: [`deckhand.instance=agent-${world.id}`] };
    for (const { Id } of await docker.listContainers({ all: true, filters }))
      await docker.getContainer(Id).remove({ force: true });
    for (const { Id } of await docker.listNetworks({ filters })) await docker.getNetwork(Id).remove();
  }

  async function measured(environment: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
    const port = await freePort();
    metricsPorts.push(port);
    return { ...environment, DECKHAND_METRICS_PORT: String(port) };
  }

  const post = async (path: string, body: unknown, token: string | null = master.token) => {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const answer = await fetch(`${master.apiUrl}/api/v1${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, string> };
  };
  async function logIn(username: string, password: string): Promise<string> {
    const { body } = await post('/auth/login', { username, password }, null);
    return body.access_token ?? assert.fail(`no login of ${username}`);
  }

  /** All that people do with passwords and tokens. */
  async function people(): Promise<void> {
    PEOPLE['token of the admin'] = master.token;
    const first = PEOPLE['password of a viewer'] ?? '';
    const second = PEOPLE['new password of a viewer'] ?? '';
    assert.equal(
      (await post('/auth/login', { username: 'admin', password: PEOPLE['wrong password'] }, null)).status,
      401,
    );
    const { body: vera } = await post('/config/users', { username: 'vera', password: first, role: 'viewer' });
    const before = await logIn('vera', first);
    await post('/auth/change-password', { old_password: first, new_password: second }, before);
    const reset = { new_password: PEOPLE['reset password of a viewer'] };
    await master.ask('PUT', `/api/v1/config/users/${vera.uuid}/reset-password`, reset);
    const between = await logIn('vera', reset.new_password ?? '');
    await post('/auth/change-password', { old_password: reset.new_password, new_password: second }, between);
    PEOPLE['token of a viewer'] = await logIn('vera', second);
    const { body } = await post('/auth/sse-ticket', {}, PEOPLE['token of a viewer']);
    PEOPLE['ticket for events'] = body.ticket ?? assert.fail('no ticket');
    const events = await fetch(`${master.apiUrl}/api/v1/events?ticket=${body.ticket}`);
    assert.equal(events.status, 200);
    await events.body?.cancel();
  }

  const iniOf = (place: string): string => `
[custom-printer-${place}]
binary=${image}
exec=/usr/bin/node -e console.error(process.argv.join());process.exit(3) --password=${FLEET['argument of a command']} TOKEN=${FLEET['variable of a command']}
[custom-ghost-${place}]
binary=deckhand.invalid/ghost:1
exec=/ghost --password ${FLEET['password of a missing image']}

[${world.id}-${place}-full]
services=ssh,https,smtp_relay
[${world.id}-${place}-full.ssh]
password=${FLEET.password}
[${world.id}-${place}-full.https]
tls_key=${b64(tls.keyPem)}
tls_cert=${b64(tls.certPem)}
[${world.id}-${place}-full.smtp_relay]
upstream_host=mail.example
upstream_pass=${FLEET['upstream password']}

[${world.id}-${place}-prints]
services=printer-${place}
[${world.id}-${place}-missing]
services=ghost-${place}
`;

  async function ended(path: string, body: unknown) {
    const answer = await post(path, body);
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    return world.ended((answer.body as unknown as { lifecycle_ids: string[] }).lifecycle_ids, 60_000);
  }

  /** A decky that comes up, one that prints its secrets and exits, one whose image is missing; a mutation; teardowns. */
  async function fleet(place: string): Promise<void> {
    const prefix = `${world.id}-${place}`;
    const rows = await ended('/deckies/deploy', { ini_content: iniOf(place), min_healthy_time: '1s' });
    const told = Object.fromEntries(rows.map((row) => [row.decky_name, `${row.status} ${row.error ?? ''}`]));
    assert.match(told[`${prefix}-full`] ?? '', /^succeeded/);
    assert.match(told[`${prefix}-prints`] ?? '', /^failed ContainerExited: [\s\S]*\[cut\]/);
    assert.match(told[`${prefix}-missing`] ?? '', /^failed /);
    const [mutated] = await ended(`/deckies/${prefix}-full/mutate`, { services: ['ssh', 'ftp'] });
    assert.equal(mutated?.status, 'succeeded', mutated?.error ?? '');
    names.push(`${prefix}-full`);
  }

  async function enrol(): Promise<void> {
    const body = { name: `host-${world.id}`, address: '127.0.0.1', agent_port: await freePort() };
    const { body: made } = await post('/swarm/enrollments', body);
    const token = made.token ?? assert.fail('no token');
    PEOPLE['enrolment token'] = token;
    const directory = joinPath(testDirectory('secrets-agent'), 'agent');
    const url = `https://127.0.0.1:${master.swarmPort}`;
    await join({ url, directory, token, caFingerprint: made.ca_fingerprint ?? '' });
    const environment = await measured({
      ...world.environment,
      DECKHAND_AGENT_DIR: directory,
      DECKHAND_AGENT_HOST: '127.0.0.1',
      DECKHAND_AGENT_NET: world.pool.replace('10.231.', '10.232.'),
      DECKHAND_INSTANCE: `agent-${world.id}`,
      DECKHAND_PROJECT: `agent-${world.id}`,
      DECKHAND_NETWORK: 'bridge',
      DECKHAND_HEARTBEAT_INTERVAL: '1s',
    });
    agent = await spawnLogged('agent', ['run'], environment, '"agent ready"');
  }

  async function searched(sinks: readonly Sink[]): Promise<void> {
    assert.deepEqual(found(sinks, { ...FLEET, ...PEOPLE }), []);
  }

  // proof: no-secret
  it('of the fleet stand where configuration must, so that the search is known to find', async () => {
    const rows = await rowsOf(world.database.sql, world.database.schema);
    assert.deepEqual(
      [...new Set(found(rows, FLEET).map((hit) => hit.split(':')[0] ?? ''))].sort(),
      [...CONFIGURATION].sort(),
    );
  });

  // proof: no-secret
  it('are in no other column of any table, and none of people’s is in any', async () => {
    const rows = await rowsOf(world.database.sql, world.database.schema);
    assert.deepEqual(found(rows, PEOPLE), []);
    const others = rows.filter(([column]) => !CONFIGURATION.has(column));
    assert.ok(others.length > 50);
    await searched(others);
  });

  // proof: promise-10
  it('are in no log of API, worker or agent, at the level that tells the most', async () => {
    const logs = [
      ['API', master.output()],
      ['worker', worker.output()],
      ['agent', agent?.output() ?? ''],
    ] as const;
    for (const [program, text] of logs) assert.ok(text.length > 200, `${program} said nothing`);
    await searched(logs);
  });

  // proof: promise-10
  it('are in no event', async () => {
    const stream = await eventsOf(testServers.natsUrl);
    for (const name of names) assert.ok(stream[1].includes(name), name);
    await searched([stream]);
  });

  // proof: promise-10
  it('are in no history, memo or screen of any workflow', async () => {
    const workflows = await workflowsOf(world.temporal.client, world.id);
    assert.ok(workflows.length >= 6, workflows.map(([name]) => name).join());
    await searched(workflows);
  });

  // proof: no-secret
  it('are in no metric of the three programs, and no trace', async () => {
    const urls = [`${master.apiUrl}/metrics`, ...metricsPorts.map((port) => `http://127.0.0.1:${port}/metrics`)];
    const texts = await Promise.all(urls.map(async (url) => [url, await (await fetch(url)).text()] as const));
    for (const [url, text] of texts) assert.ok(text.includes('deckhand_'), url);
    await collector.find(({ service }) => service === 'deckhand-agent');
    await searched([...texts, ['traces', collector.raw()]]);
  });

  // proof: no-secret
  it('are in no answer to a viewer or an admin, but those that the contract demands', async () => {
    const { sql } = world.database;
    const [deployment] = await sql<{ id: string }[]>`select id from deployments limit 1`;
    const rows = await sql<{ id: string }[]>`select id from decky_lifecycle`;
    const [host] = (await master.ask('GET', '/api/v1/swarm/hosts')).body as { uuid: string }[];
    const filled = (path: string): string =>
      path
        .replace(':deployment_id', deployment?.id ?? '')
        .replace(':uuid', host?.uuid ?? '')
        .replace(':service_name', 'http')
        .replace(/stream$/, 'stream?maxOutput=1')
        .replace(/lifecycle$/, `lifecycle?ids=${rows.map(({ id }) => id).join(',')}`);
    const answers: Sink[] = [];
    for (const { method, path } of OPERATOR_ACCESS) {
      if (method !== 'GET' || /:file|events$/.test(path)) continue;
      for (const token of [master.token, PEOPLE['token of a viewer']]) {
        const answer = await fetch(`${master.apiUrl}${filled(path)}`, {
          headers: { authorization: `Bearer ${token}` },
        });
        assert.ok([200, 403].includes(answer.status), `${path}: ${answer.status} ${await answer.clone().text()}`);
        answers.push([`GET ${path}`, await answer.text()]);
      }
    }
    for (const { method, path } of SWARM_ACCESS) {
      if (method !== 'GET' || path === '/swarm/ca') continue;
      const answer = await master.askSwarm(method, filled(path));
      assert.equal(answer.status, 200, path);
      answers.push([`swarm GET ${path}`, JSON.stringify(answer.body)]);
    }
    assert.deepEqual(found(answers, PEOPLE), []);
    assert.deepEqual([...new Set(found(answers, FLEET).map((hit) => hit.split(':')[0] ?? ''))].sort(), CONTRACT);
  });

  it('nor in what the teardown leaves of logs, events and histories', async () => {
    for (const name of names) {
      const answer = await master.ask('DELETE', `/api/v1/deckies/${name}`);
      assert.ok([202, 204].includes(answer.status), JSON.stringify(answer.body));
    }
    await searched([
      ['worker', worker.output()],
      ['agent', agent?.output() ?? ''],
      await eventsOf(testServers.natsUrl),
      ...(await workflowsOf(world.temporal.client, world.id)),
    ]);
  });
});
