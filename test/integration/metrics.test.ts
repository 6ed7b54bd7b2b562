import assert from 'node:assert/strict';
import { pino } from 'pino';
import { serveMetrics, serveMetricsIfAsked } from '../../adapters/metrics/listener.ts';
import { createApiMetrics, createRegistry } from '../../adapters/metrics/metrics.ts';
import { addDatabaseMetrics, addKeptMetrics } from '../../adapters/metrics/scraped-metrics.ts';
import { readFigures } from '../../adapters/postgres/upkeep.ts';
import { type AgentHost, agentHost } from '../support/agents/agent-host.ts';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness, GENERAL } from '../support/master/api-harness.ts';
import { startMaster } from '../support/master/master-program.ts';
import { sample, scrape } from '../support/reading/metrics.ts';
import { freePort } from '../support/servers/free-port.ts';
import { endWorker, spawnWorker } from '../support/temporal/worker-process.ts';
import { createWorld, type World } from '../support/temporal/workflow-fixture.ts';

describe('the API’s metrics', () => {
  let api: ApiHarness;
  beforeEach(async () => {
    api = await createApiHarness({
      deps: (sql) => {
        const metrics = createApiMetrics();
        addDatabaseMetrics(metrics.registry, () => readFigures(sql));
        return { metrics };
      },
    });
  });
  afterEach(() => api.close());
  const metrics = async (): Promise<string> => {
    const answer = await api.call('GET', '/metrics');
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    return answer.text;
  };

  it('count requests by route, never by path, and logins by result', async () => {
    const login = (password: string) =>
      api.call('POST', '/api/v1/auth/login', { body: { username: 'admin', password } });
    await login('wrong');
    const token = (await login(ADMIN_PASSWORD)).json.access_token as string;
    for (const id of ['nothing-1', 'nothing-2']) await api.call('GET', `/api/v1/deployments/${id}`, { token });
    for (const path of ['/api/v1/no/such/path', '/elsewhere']) await api.call('GET', path, { token });
    const text = await metrics();
    assert.equal(sample(text, 'deckhand_logins_total', { result: 'wrong' }), 1);
    assert.equal(sample(text, 'deckhand_logins_total', { result: 'ok' }), 1);
    const route = { listener: 'operators', method: 'GET', route: '/api/v1/deployments/:deployment_id' };
    assert.equal(sample(text, 'deckhand_http_requests_total', { ...route, status: '404' }), 2);
    assert.equal(sample(text, 'deckhand_http_request_duration_seconds_count', route), 2);
    const unknown = { listener: 'operators', method: 'GET', route: 'none', status: '404' };
    assert.equal(sample(text, 'deckhand_http_requests_total', unknown), 2);
    assert.doesNotMatch(text, /nothing-1|elsewhere/);
  });

  it('say what is open, what waits for the bus, and how large tables are', async () => {
    const { sql } = api.database;
    const token = await api.login('admin', ADMIN_PASSWORD);
    const body = { ini_content: `${GENERAL}[secretive]\nservices=ssh\n[other]\nservices=ssh\n` };
    assert.equal((await api.call('POST', '/api/v1/deckies/deploy', { token, body })).status, 202);
    await sql`update decky_lifecycle set status = 'running' where decky_name = 'other'`;
    await sql`update outbox set ts = ts - 600`;
    const text = await metrics();
    assert.equal(sample(text, 'deckhand_database_up'), 1);
    assert.equal(sample(text, 'deckhand_open_rows', { operation: 'deploy', status: 'pending' }), 1);
    assert.equal(sample(text, 'deckhand_open_rows', { operation: 'deploy', status: 'running' }), 1);
    assert.equal(sample(text, 'deckhand_open_rows', { operation: 'teardown', status: 'running' }), 0);
    assert.equal(sample(text, 'deckhand_open_tickets'), 1);
    assert.equal(sample(text, 'deckhand_outbox_unsent_events'), 1);
    assert.ok((sample(text, 'deckhand_outbox_oldest_unsent_age_seconds') ?? 0) >= 600);
    assert.equal(sample(text, 'deckhand_fleet_deckies', { state: 'pending' }), 2);
    assert.equal(sample(text, 'deckhand_hosts', { status: 'active' }), 0);
    assert.ok((sample(text, 'deckhand_table_size_bytes', { table: 'decky_lifecycle' }) ?? 0) > 0);
    assert.equal(sample(text, 'deckhand_first_host_certificate_end_timestamp_seconds'), null);
    assert.doesNotMatch(text, /secretive/);
  });

  // proof: observability
  it('leave out the sizes of what does not answer, and tell those of the others', async () => {
    const registry = createRegistry();
    const stream = async () => ({ events: 7, bytes: 700 });
    addKeptMetrics(registry, { stream, closedWorkflows: () => Promise.reject(new Error('away')) });
    const text = await registry.metrics();
    assert.equal(sample(text, 'deckhand_stream_events'), 7);
    assert.equal(sample(text, 'deckhand_stream_size_bytes'), 700);
    assert.equal(sample(text, 'deckhand_closed_workflows'), null);
  });

  it('are served while the database is away, without its figures', async () => {
    const registry = createRegistry();
    addDatabaseMetrics(registry, () => Promise.reject(new Error('away')));
    const text = await registry.metrics();
    assert.equal(sample(text, 'deckhand_database_up'), 0);
    for (const name of ['deckhand_open_rows', 'deckhand_oldest_open_row_age_seconds', 'deckhand_hosts'])
      assert.equal(sample(text, name), null, name);
  });
});

describe('the listener for metrics', () => {
  it('serves /metrics and nothing else, also when what goes along is away', async () => {
    const listener = await serveMetrics(createApiMetrics().registry, { host: '127.0.0.1', port: 0 }, () =>
      Promise.reject(new Error('away')),
    );
    const url = `http://127.0.0.1:${listener.port}`;
    assert.equal(sample(await scrape(listener.port), 'deckhand_logins_total', { result: 'ok' }), 0);
    assert.equal((await fetch(`${url}/`)).status, 404);
    assert.equal((await fetch(`${url}/metrics`, { method: 'POST' })).status, 405);
    await listener.stop();
  });

  it('on a taken port is a warning, not the end of the program', async () => {
    const registry = createRegistry();
    const first = await serveMetrics(registry, { host: '127.0.0.1', port: 0 });
    const second = await serveMetricsIfAsked(
      registry,
      { host: '127.0.0.1', port: first.port },
      pino({ level: 'silent' }),
    );
    assert.equal(second, null);
    await first.stop();
  });
});

describe('the agent’s metrics', () => {
  let host: AgentHost;
  beforeEach(async () => {
    host = await agentHost({ engine: 'simulated' });
  });
  afterEach(() => host.clean());

  it('say whether the master takes its reports, what waits for it, and what should run', async () => {
    const port = await freePort();
    await host.start({ DECKHAND_METRICS_PORT: String(port), DECKHAND_HEARTBEAT_INTERVAL: '100ms' });
    const order = host.order([host.decky('a', 10), host.decky('b', 11)]);
    assert.equal((await host.call('POST', '/deploy', order)).status, 202);
    let text = '';
    do text = await scrape(port);
    while (
      sample(text, 'deckhand_agent_reports_total', { result: 'taken' }) === 0 ||
      sample(text, 'deckhand_agent_open_orders') !== 0
    );
    assert.equal(sample(text, 'deckhand_agent_deckies'), 2);
    assert.notEqual(sample(text, 'deckhand_agent_last_taken_report_timestamp_seconds'), 0);
    assert.notEqual(sample(text, 'deckhand_agent_unacknowledged_deltas'), null);
    assert.ok(!text.includes(host.prefix), 'no name of a host or a decky');
  });
});

describe('the API program’s metrics', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld({ worker: false });
  });
  afterEach(() => world.close());

  it('count what comes to the swarm controller, heartbeats by result, and stand beside the figures of the database', async () => {
    const master = await startMaster(world);
    try {
      await master.askSwarm('POST', '/swarm/heartbeat', { host_uuid: 'nobody', status: {} });
      await master.askSwarm('POST', '/swarm/heartbeat', { host_uuid: 7 });
      const text = await (await fetch(`${master.apiUrl}/metrics`)).text();
      assert.equal(sample(text, 'deckhand_heartbeats_total', { result: 'refused' }), 1);
      assert.equal(sample(text, 'deckhand_heartbeats_total', { result: 'malformed' }), 1);
      const route = { listener: 'swarm', method: 'POST', route: '/swarm/heartbeat' };
      assert.equal(sample(text, 'deckhand_http_requests_total', { ...route, status: '404' }), 1);
      assert.equal(sample(text, 'deckhand_database_up'), 1);
      for (const kept of ['stream_events', 'stream_size_bytes', 'closed_workflows'])
        assert.notEqual(sample(text, `deckhand_${kept}`), null, kept);
      assert.match(text, /^process_resident_memory_bytes /m);
    } finally {
      await master.kill('SIGTERM');
    }
  });
});

describe('the worker’s metrics', () => {
  let world: World;
  beforeEach(async () => {
    world = await createWorld({ worker: false });
  });
  afterEach(() => world.close());

  it('say what became of operations and rows, how long each phase took, and what the Temporal SDK says', async () => {
    const port = await freePort();
    const worker = await spawnWorker({ ...world.environment, DECKHAND_METRICS_PORT: String(port) });
    try {
      const good = await world.deploy(`[${world.id}-a]\nservices=redis\n`);
      const bad = await world.deploy(`[${world.id}-b]\nservices=redis\n[[nonsense`).catch((error: unknown) => error);
      assert.ok(bad instanceof Error);
      assert.equal((await world.ended(good.lifecycle_ids))[0]?.status, 'succeeded');
      await world.temporal.client.workflow.getHandle(`deploy/${good.deployment_id}`).result();
      const text = await scrape(port);
      assert.equal(sample(text, 'deckhand_acceptances_total', { result: 'accepted' }), 1);
      assert.equal(sample(text, 'deckhand_operations_total', { kind: 'deploy', outcome: 'succeeded' }), 1);
      assert.equal(sample(text, 'deckhand_operation_duration_seconds_count', { kind: 'deploy' }), 1);
      assert.equal(sample(text, 'deckhand_rows_ended_total', { status: 'succeeded', code: 'none' }), 1);
      for (const phase of ['accept', 'queue', 'converge'])
        assert.equal(sample(text, 'deckhand_phase_duration_seconds_count', { phase }), 1, phase);
      assert.ok((sample(text, 'deckhand_events_sent_total') ?? 0) >= 2);
      assert.match(text, /^temporal_workflow_completed_total\{/m);
      assert.match(text, /^temporal_activity_execution_latency_seconds_bucket\{/m);
      assert.match(text, /^process_resident_memory_bytes /m);
    } finally {
      await endWorker(worker, 'SIGTERM');
    }
  });
});
