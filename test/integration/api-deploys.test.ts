/** Deploying, looking and taking down, as the API answers it. Accepted for real; the rows are ended by the test. */
import assert from 'node:assert/strict';
import {
  ADMIN_PASSWORD,
  type Answer,
  type ApiHarness,
  createApiHarness,
  GENERAL,
} from '../support/master/api-harness.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('API: deploys', () => {
  let api: ApiHarness;
  let token: string;

  beforeEach(async () => {
    api = await createApiHarness();
    token = await api.login('admin', ADMIN_PASSWORD);
  });
  afterEach(() => api.close());

  const deploy = (sections: string, more: object = {}, headers: Record<string, string> = {}): Promise<Answer> =>
    api.call('POST', '/api/v1/deckies/deploy', { token, body: { ini_content: GENERAL + sections, ...more }, headers });
  const get = (path: string): Promise<Answer> => api.call('GET', `/api/v1${path}`, { token });
  const remove = (name: string): Promise<Answer> => api.call('DELETE', `/api/v1/deckies/${name}`, { token });

  it('answers 202 with the ids of the rows and where to look', async () => {
    const answer = await deploy('[a]\nservices=ssh\n[b]\nservices=http,https\n', { min_healthy_time: 0 });
    assert.equal(answer.status, 202, answer.text);
    assert.equal(answer.json.lifecycle_ids.length, 2);
    assert.equal(answer.json.warnings.length, 1, 'http and https share a port');
    assert.equal('removed_lifecycle_ids' in answer.json, false);
    const id = answer.headers.get('deckhand-deployment-id') ?? '';
    assert.match(id, UUID);
    assert.equal(answer.headers.get('location'), `/api/v1/deployments/${id}`);

    const detail = (await get(`/deployments/${id}`)).json;
    assert.deepEqual(
      detail.rows.map((row: { id: string }) => row.id),
      answer.json.lifecycle_ids,
    );
    assert.deepEqual(detail.counts, { pending: 2, running: 0, succeeded: 0, failed: 0 });
    assert.equal(typeof detail.waiting_for, 'string');
    const list = (await get('/deployments?limit=1')).json.deployments;
    assert.deepEqual(
      list.map((one: { deployment_id: string }) => one.deployment_id),
      [id],
    );
  });

  it('keeps the request’s rollout options, over those of the environment', async () => {
    await api.close();
    api = await createApiHarness({ deps: () => ({ rolloutDefaults: { minHealthyTimeMs: 7_000, maxParallel: 2 } }) });
    token = await api.login('admin', ADMIN_PASSWORD);
    const answer = await deploy('[a]\nservices=ssh\n', { min_healthy_time: '500ms', healthy_deadline: '2m' });
    assert.equal(answer.status, 202, answer.text);
    const [row] = await api.database.sql`select options from deployments`;
    assert.equal(row?.options.minHealthyTimeMs, 500);
    assert.equal(row?.options.healthyDeadlineMs, 120_000);
    assert.equal(row?.options.maxParallel, 2);
  });

  it('gives the same answer to the same key and body, and 422 to another body', async () => {
    const key = { 'idempotency-key': 'deploy-1' };
    const first = await deploy('[a]\nservices=ssh\n', {}, key);
    assert.equal(first.status, 202, first.text);
    const again = await deploy('[a]\nservices=ssh\n', {}, key);
    assert.equal(again.status, 202, again.text);
    assert.deepEqual(again.json, first.json);
    assert.equal(again.headers.get('location'), first.headers.get('location'));
    await api.settle();
    assert.deepEqual((await deploy('[a]\nservices=ssh\n', {}, key)).json, first.json);
    const other = await deploy('[b]\nservices=ssh\n', {}, key);
    assert.equal(other.status, 422);
    assert.equal(other.headers.get('deckhand-error-code'), 'IdempotencyKeyReused');
    assert.equal((await api.counts()).rows, 1);
  });

  it('refuses broken input with a key without keeping the key', async () => {
    const key = { 'idempotency-key': 'deploy-2' };
    assert.equal((await deploy('[a]\nservices=teleport\n', {}, key)).status, 409);
    assert.equal((await deploy('[a]\nservices=ssh\n', {}, key)).status, 202);
  });

  it('names the rows of what goes when the fleet is replaced', async () => {
    await deploy('[a]\nservices=ssh\n[b]\nservices=ssh\n');
    await api.settle();
    const answer = await deploy('[b]\nservices=ssh\n', { replace_fleet: 'yes' });
    assert.equal(answer.status, 202, answer.text);
    assert.equal(answer.json.lifecycle_ids.length, 1);
    assert.equal(answer.json.removed_lifecycle_ids.length, 1);
    const ids = answer.json.removed_lifecycle_ids.join();
    const { rows } = (await get(`/deckies/lifecycle?ids=${ids}`)).json;
    assert.deepEqual([rows[0].decky_name, rows[0].operation], ['a', 'teardown']);
  });

  // proof: gap-b5
  it('takes the same INI again after a deploy that failed (B5)', async () => {
    await deploy('[a]\nservices=ssh\n');
    await api.settle('failed');
    const { deckies } = (await get('/fleet')).json;
    assert.deepEqual([deckies[0].state, deckies[0].established, deckies[0].open], ['failed', false, null]);
    assert.match(deckies[0].last_error, /^ContainerExited: /);
    assert.equal((await deploy('[a]\nservices=ssh\n')).status, 202);
  });

  it('shows the fleet with what is open', async () => {
    assert.deepEqual((await get('/fleet')).json, { network: null, simulated: null, deckies: [] });
    const { lifecycle_ids } = (await deploy('[a]\nservices=ssh\n')).json;
    const { network, deckies } = (await get('/fleet')).json;
    assert.deepEqual(network, { driver: 'macvlan', interface: 'eth0', subnet: '10.77.0.0/24', gateway: '10.77.0.1' });
    assert.deepEqual(deckies[0].open, {
      lifecycle_id: lifecycle_ids[0],
      operation: 'deploy',
      status: 'pending',
      step: null,
    });
  });

  // proof: gap-c22
  it('removes whatever name can be deployed (C22)', async () => {
    const names = ['Web_01', 'a.b-c', 'x', `n${'a'.repeat(127)}`];
    const answer = await deploy(names.map((name) => `[${name}]\nservices=ssh\n`).join(''));
    assert.equal(answer.status, 202, answer.text);
    await api.settle();
    for (const name of names) {
      const removed = await remove(name);
      assert.equal(removed.status, 202, `${name}: ${removed.text}`);
      assert.match(removed.json.lifecycle_ids[0], UUID);
    }
    await api.settle();
    assert.deepEqual((await get('/deckies')).json, []);
  });

  it('answers a removal with 404 for what is not there and 409 for what is busy', async () => {
    assert.equal((await remove('a')).json.detail, 'No active deployment');
    await deploy('[a]\nservices=ssh\n');
    const busy = await remove('a');
    assert.deepEqual([busy.status, busy.headers.get('deckhand-error-code')], [409, 'DeckyBusy']);
    const unknown = await remove('b');
    assert.deepEqual([unknown.status, unknown.json.detail], [404, 'Decky b not found']);
  });

  it('answers 204 only for a decky that is down', async () => {
    const ending = (status: 'succeeded' | 'failed') => async () => {
      await api.settle(status);
      return true;
    };
    for (const [status, code] of [
      ['failed', 202],
      ['succeeded', 204],
    ] as const) {
      await api.close();
      api = await createApiHarness();
      token = await api.login('admin', ADMIN_PASSWORD);
      await deploy('[a]\nservices=ssh\n');
      await api.settle();
      Object.assign(api.deps.deployments, { waitForRows: ending(status) });
      const removed = await remove('a');
      assert.equal(removed.status, code, removed.text);
      if (code === 204) assert.equal(removed.text, '');
    }
  });

  it('says what kind of master it is', async () => {
    const expected = { mode: 'unihost', role: 'master', swarm_host_count: 0 };
    assert.deepEqual((await get('/system/deployment-mode')).json, expected);
  });

  it('describes every route, with an example of each body, and shows it on a page that loads nothing', async () => {
    const { json: description } = await api.call('GET', '/openapi.json');
    const operations = Object.entries(description.paths as Record<string, Record<string, Record<string, never>>>);
    for (const [path, methods] of operations)
      for (const [method, operation] of Object.entries(methods)) {
        const bodies = [operation.requestBody, ...Object.values(operation.responses ?? {})] as unknown[];
        for (const body of bodies as { content?: Record<string, { example?: unknown; schema?: { $ref?: string } }> }[])
          for (const media of Object.values(body?.content ?? {}))
            assert.ok(media.example !== undefined || path.includes('auth'), `${method} ${path}: no example`);
      }
    const routes = api.app.routes.filter((route) => route.method !== 'ALL' && route.path.startsWith('/api/'));
    const described = operations.flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    for (const route of routes)
      assert.ok(
        described.includes(`${route.method.toLowerCase()} ${route.path.replace(/:(\w+)/g, '{$1}')}`),
        `${route.method} ${route.path} is not described`,
      );
    const page = await api.call('GET', '/docs');
    assert.equal(page.status, 200);
    assert.doesNotMatch(page.text, /<script|src=|https?:\/\/|@import|url\(/);
    for (const [path] of operations) assert.ok(page.text.includes(path), path);
  });
});
