/** The audit: who changed what, from where, before and after, on both listeners, and never a secret. */
import assert from 'node:assert/strict';
import { createPrunables } from '../../adapters/postgres/upkeep.ts';
import { ADMIN_PASSWORD, type ApiHarness, GENERAL } from '../support/master/api-harness.ts';
import { createSwarmHarness, type SwarmHarness } from '../support/master/swarm-harness.ts';

interface Entry {
  readonly [field: string]: unknown;
  readonly id: string;
  readonly path: string;
  readonly username: string | null;
  readonly status: number | null;
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  readonly request: Record<string, unknown>;
}

const MARK = 'marked-secret-0815';

describe('API: the audit', function () {
  this.timeout(60_000);
  let swarm: SwarmHarness;
  let api: ApiHarness;
  let token: string;

  before(async () => {
    swarm = await createSwarmHarness();
    api = swarm.api;
    token = await api.login('admin', ADMIN_PASSWORD);
  });
  after(() => swarm.close());

  async function entries(query = ''): Promise<Entry[]> {
    const answer = await api.call('GET', `/api/v1/audit${query}`, { token });
    assert.equal(answer.status, 200, answer.text);
    return answer.json.entries;
  }
  async function newest(): Promise<Entry> {
    const [entry] = await entries('?limit=1');
    return entry ?? assert.fail('the audit is empty');
  }

  it('tells what a setting was, and what it is now', async () => {
    const body = { deployment_limit: 33 };
    const answer = await api.call('PUT', '/api/v1/config/deployment-limit', { token, body });
    const { path, username, status, before, after, request, listener, request_id, subject } = await newest();
    assert.deepEqual(
      { path, username, status, request, listener, subject, request_id },
      {
        path: '/api/v1/config/deployment-limit',
        username: 'admin',
        status: 200,
        request: { deployment_limit: 33 },
        listener: 'operators',
        subject: { kind: 'setting', name: 'deployment_limit' },
        request_id: answer.headers.get('x-request-id'),
      },
    );
    assert.equal(before, null);
    assert.equal(after?.value, 33);
    await api.call('PUT', '/api/v1/config/deployment-limit', { token, body: { deployment_limit: 50 } });
    const second = await newest();
    assert.deepEqual([second.before?.value, second.after?.value], [33, 50]);
  });

  it('tells of users, and of what was refused to whom', async () => {
    const viewer = await api.viewer('vera');
    const made = (await entries()).find((entry) => entry.path === '/api/v1/config/users');
    assert.deepEqual([made?.after?.username, made?.after?.role], ['vera', 'viewer']);
    await api.call('PUT', '/api/v1/config/deployment-limit', { token: viewer, body: { deployment_limit: 1 } });
    const refused = await newest();
    assert.deepEqual(
      [refused.username, refused.status, refused.error_code, refused.after],
      ['vera', 403, 'Forbidden', null],
    );
    await api.call('DELETE', `/api/v1/config/users/${String(made?.after?.uuid)}`, { token });
    const gone = await newest();
    assert.deepEqual([gone.before?.username, gone.after, gone.status], ['vera', null, 200]);
  });

  it('tells of logins, also refused ones, and of unknown names only that there was one', async () => {
    const login = (username: string) => api.call('POST', '/api/v1/auth/login', { body: { username, password: MARK } });
    await login('admin');
    const wrong = await newest();
    assert.deepEqual([wrong.path, wrong.username, wrong.status], ['/api/v1/auth/login', 'admin', 401]);
    await login(MARK);
    const unknown = await newest();
    assert.deepEqual([unknown.username, unknown.status], [null, 401]);
    assert.notEqual(unknown.id, wrong.id);
  });

  it('leaves no entry for who could not say who he is', async () => {
    const [last] = await entries('?limit=1');
    const body = { ini_content: '[a]\nservices=ssh\n' };
    assert.equal((await api.call('POST', '/api/v1/deckies/deploy', { body })).status, 401);
    assert.equal((await newest()).id, last?.id);
  });

  it('tells of deploys and teardowns with their ids, and of the decky that was there', async () => {
    const ini = `${GENERAL}[web-01]\nservices=ssh\n[web-01.ssh]\npassword=${MARK}\n`;
    const answer = await api.call('POST', '/api/v1/deckies/deploy', { token, body: { ini_content: ini } });
    assert.equal(answer.status, 202, answer.text);
    const deploy = await newest();
    assert.deepEqual(deploy.after?.lifecycle_ids, answer.json.lifecycle_ids);
    assert.equal(deploy.after?.deployment_id, answer.headers.get('deckhand-deployment-id'));
    await api.settle();
    await api.call('DELETE', '/api/v1/deckies/web-01', { token });
    const teardown = await newest();
    assert.deepEqual(teardown.subject, { kind: 'decky', name: 'web-01' });
    assert.deepEqual(teardown.before?.services, ['ssh']);
    assert.equal(teardown.status, 202);
  });

  it('tells of hosts on the swarm’s listener, and its answers have request ids', async () => {
    const body = { name: 'h1', address: '127.0.0.1', agent_port: 8765, notes: MARK };
    const answer = await swarm.call('POST', '/swarm/enroll', { token: swarm.admin, body });
    assert.equal(answer.status, 201, answer.text);
    const enrolled = await newest();
    assert.deepEqual(
      [enrolled.listener, enrolled.username, enrolled.peer, enrolled.after?.host_uuid],
      ['swarm', 'admin', '127.0.0.1', answer.json.host_uuid],
    );
    assert.equal(enrolled.request_id, answer.headers['x-request-id']);
    await swarm.call('DELETE', `/swarm/hosts/${answer.json.host_uuid}`, { token: swarm.admin });
    const removed = await newest();
    assert.equal(removed.before?.name, 'h1');
    assert.equal(removed.after, null);
    await swarm.call('POST', '/swarm/join', { body: { token: MARK, name: 'h2', csr_pem: 'x' } });
    const refused = await newest();
    assert.deepEqual([refused.path, refused.status], ['/swarm/join', 403]);
    const [kept] = await api.database.sql`select request from audit where id = ${refused.id}`;
    assert.deepEqual(kept?.request, {}, 'nothing of what strangers send');
    assert.equal((await swarm.call('POST', '/swarm/heartbeat', { body: {} })).headers['x-request-id']?.length, 36);
  });

  // proof: audit
  it('has an entry for every route that changes something, whatever became of the request', async () => {
    const changing = api.app.routes.filter(
      ({ method, path }) => !['ALL', 'GET'].includes(method) && path.startsWith('/api/v1/'),
    );
    const routes = [...new Set(changing.map(({ method, path }) => `${method} ${path}`))];
    assert.ok(routes.length >= 15, routes.join());
    const without: string[] = [];
    for (const route of routes) {
      const [method = '', path = ''] = route.replace(/:\w+/g, 'nobody').split(' ');
      const before = (await newest()).id;
      // Some of them end the session.
      const call = await api.call(method, path, { token: await api.login('admin', ADMIN_PASSWORD), body: {} });
      token = await api.login('admin', ADMIN_PASSWORD);
      const told = (await entries('?limit=5')).filter((entry) => BigInt(entry.id) > BigInt(before));
      if (!told.some((entry) => entry.path === path && entry.status === call.status)) without.push(route);
    }
    // A ticket changes nothing, and a login without a name and a password is none.
    assert.deepEqual(without.sort(), ['POST /api/v1/auth/login', 'POST /api/v1/auth/sse-ticket']);
  });

  it('is there for admins only, in pages', async () => {
    const viewer = await api.viewer('otto');
    assert.equal((await api.call('GET', '/api/v1/audit', { token: viewer })).status, 403);
    const all = (await entries('?limit=200')).map((entry) => entry.id);
    const paged: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { json } = await api.call('GET', `/api/v1/audit?limit=3${cursor && `&cursor=${cursor}`}`, { token });
      paged.push(...json.entries.map((entry: Entry) => entry.id));
      cursor = json.next_cursor;
    }
    assert.deepEqual(paged, all);
    for (const entry of await entries('?user=admin')) assert.equal(entry.username, 'admin');
  });

  // proof: audit
  it('has no secret in it', async () => {
    const [row] = await api.database.sql<{ text: string }[]>`select string_agg(a::text, ' ') as text from audit a`;
    assert.ok((row?.text.length ?? 0) > 1_000);
    for (const secret of [MARK, ADMIN_PASSWORD, 'viewer-password-1', 'BEGIN'])
      assert.ok(!row?.text.includes(secret), `${secret} stands in the audit`);
  });

  it('is kept for 90 days', async () => {
    const [old] = await entries('?limit=1');
    await api.database.sql`update audit set at = now() - interval '91 days' where id = ${old?.id ?? ''}`;
    const pruned = createPrunables(api.database.sql).find((one) => one.table === 'audit');
    assert.equal(await pruned?.remove(100), 1);
    assert.ok(!(await entries()).some((entry) => entry.id === old?.id));
  });

  it('an entry without a status remains when the master dies before it answers', async () => {
    await api.deps.audit?.begin({
      ...{ listener: 'operators', username: 'admin', peer: null, requestId: 'r', method: 'PUT', path: '/x' },
      subject: null,
      request: {},
    });
    assert.equal((await newest()).status, null);
  });
});

describe('API: pages of deployments', () => {
  it('hold every deployment once, newest first', async function () {
    this.timeout(60_000);
    const swarm = await createSwarmHarness();
    const { api } = swarm;
    const token = await api.login('admin', ADMIN_PASSWORD);
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      const body = { ini_content: `${GENERAL}[${name}]\nservices=ssh\n` };
      assert.equal((await api.call('POST', '/api/v1/deckies/deploy', { token, body })).status, 202);
    }
    const whole = await api.call('GET', '/api/v1/deployments', { token });
    assert.equal(whole.json.next_cursor, null);
    const paged: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { json } = await api.call('GET', `/api/v1/deployments?limit=2${cursor && `&cursor=${cursor}`}`, { token });
      paged.push(...json.deployments.map((one: { deployment_id: string }) => one.deployment_id));
      cursor = json.next_cursor;
    }
    assert.equal(paged.length, 5);
    assert.deepEqual(
      paged,
      whole.json.deployments.map((one: { deployment_id: string }) => one.deployment_id),
    );
    await swarm.close();
  });
});
