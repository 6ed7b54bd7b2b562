/** The API and a worker as processes of their own, on a simulated engine: from HTTP through a workflow to rows, and back. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { DeploymentDetail } from '../../fleet/rows.ts';
import { type ProgramName, programArguments } from '../../stack/root.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';
import { testDirectory, testServers } from '../support/stack/stack.ts';
import { until } from '../support/until.ts';

const PASSWORD = 'correct-horse-battery';
/** Programs start while other tests run. */
const PATIENCE_MS = 90_000;
const INI = '[a]\nservices=ssh\n[b]\nservices=http\n';

describe('API: with a worker', function () {
  this.timeout(180_000);
  let database: TestDatabase;
  let environment: NodeJS.ProcessEnv;
  let url: string;
  let token: string;
  const programs: ChildProcess[] = [];

  function start(program: ProgramName, ready: RegExp): Promise<string> {
    const child = spawn(process.execPath, programArguments(program), {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    programs.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const port = () => {
      assert.equal(child.exitCode, null, text);
      return ready.exec(text)?.[1] ?? null;
    };
    return until(program, port, PATIENCE_MS).catch((error: Error) => assert.fail(`${error.message}\n${text}`));
  }
  const startWorker = (): Promise<string> => start('worker', /"msg":"(worker ready)"/);

  async function call(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; headers: Headers; json: Record<string, never> }> {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, json: text === '' ? {} : JSON.parse(text) };
  }

  before(async () => {
    database = await createTestDatabase();
    const id = `api${randomBytes(4).toString('hex')}`;
    environment = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      DATABASE_URL: database.url,
      DECKHAND_DB_SCHEMA: database.schema,
      TEMPORAL_ADDRESS: testServers.temporalAddress,
      NATS_URL: testServers.natsUrl,
      DECKHAND_HOME: testDirectory(id),
      DECKHAND_TASK_QUEUE: id,
      DECKHAND_PROJECT: id,
      DECKHAND_INSTANCE: id,
      DECKHAND_ENGINE: 'simulated',
      DECKHAND_NETWORK: 'bridge',
      DECKHAND_BRIDGE_POOL: '10.230.77.0/24',
      DECKHAND_MIN_HEALTHY_TIME: '0',
      DECKHAND_API_PORT: '0',
      DECKHAND_SWARM_PORT: '0',
      DECKHAND_ADMIN_PASSWORD: PASSWORD,
      DECKHAND_ADMIN_MUST_CHANGE_PASSWORD: 'false',
    };
    url = `http://127.0.0.1:${await start('api', /"port":(\d+),"msg":"api listens"/)}`;
    await until('/readyz', async () => (await fetch(`${url}/readyz`)).ok, PATIENCE_MS);
    const { json } = await call('POST', '/auth/login', { username: 'admin', password: PASSWORD });
    token = json.access_token ?? '';
  });
  after(async () => {
    for (const child of programs) {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await database.drop();
  });

  // proof: promise-1, bad-input
  it('answers 503 without a worker, and nothing happens when one comes', async () => {
    const answer = await call('POST', '/deckies/deploy', { ini_content: '[never]\nservices=ssh\n' });
    assert.equal(answer.status, 503, JSON.stringify(answer.json));
    await startWorker();
    // The worker has taken up all that waited once a later request is done.
    assert.equal((await call('POST', '/deckies/deploy', { ini_content: INI })).status, 202);
    const rows = await database.sql`select decky_name from decky_lifecycle where decky_name = 'never'`;
    assert.equal(rows.length, 0);
    const [request] = await database.sql`select state from deployments order by received_at limit 1`;
    assert.equal(request?.state, 'withdrawn');
  });

  it('brings deckies up and takes one down', async () => {
    const ended = await until(
      'the deployment',
      async () => {
        const { json } = await call('GET', '/deployments?limit=1');
        const [latest] = json.deployments as unknown as { outcome: string | null; counts: object }[];
        return latest?.outcome ? latest : null;
      },
      PATIENCE_MS,
    );
    assert.deepEqual([ended.outcome, ended.counts], ['succeeded', { pending: 0, running: 0, succeeded: 2, failed: 0 }]);
    const fleet = await call('GET', '/fleet');
    assert.equal(fleet.json.simulated, true);
    const removed = await call('DELETE', '/deckies/a');
    assert.equal(removed.status, 204, JSON.stringify(removed.json));
    const left = (await call('GET', '/deckies')).json as unknown as { name: string }[];
    assert.deepEqual(
      left.map((decky) => decky.name),
      ['b'],
    );
  });

  it('cancels what is open of a deployment, once (gap C4)', async () => {
    const body = { ini_content: '[slow]\nservices=ssh\n', min_healthy_time: '10m', healthy_deadline: '20m' };
    const accepted = await call('POST', '/deckies/deploy', body);
    const id = accepted.headers.get('deckhand-deployment-id') ?? '';
    const asked = await call('POST', `/deployments/${id}/cancel`);
    assert.deepEqual([asked.status, asked.json.lifecycle_ids], [202, accepted.json.lifecycle_ids]);
    const detail = async () => (await call('GET', `/deployments/${id}`)).json as unknown as DeploymentDetail;
    const ended = await until(
      'the end',
      async () => ((await detail()).ended_at === null ? null : detail()),
      PATIENCE_MS,
    );
    assert.deepEqual([ended.outcome, ended.rows.length], ['cancelled', 1]);
    assert.match(ended.rows[0]?.error ?? '', /^Cancelled: /);
    const again = await call('POST', `/deployments/${id}/cancel`);
    assert.deepEqual([again.status, again.headers.get('deckhand-error-code')], [409, 'NotCancellable']);
    assert.match(String(again.json.detail), /has ended; there is nothing to cancel/);
    assert.equal((await call('POST', '/deployments/nowhere/cancel')).status, 404);
    const audit = (await call('GET', '/audit?limit=5')).json as unknown as {
      entries: { path: string; status: number }[];
    };
    assert.ok(
      audit.entries.some((one) => one.path.endsWith(`/${id}/cancel`) && one.status === 202),
      JSON.stringify(audit),
    );
  });

  it('lets one of two same requests win', async () => {
    const body = { ini_content: '[twin]\nservices=ssh\n' };
    const answers = await Promise.all([call('POST', '/deckies/deploy', body), call('POST', '/deckies/deploy', body)]);
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [202, 409]);
  });
});
