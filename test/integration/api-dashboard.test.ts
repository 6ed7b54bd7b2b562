/** `GET /stream`: the frames that DECNET's landing page waits for, who may read them, and that they end. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import { sharedFigures, writeFigures } from '../../api/routes/status.ts';
import { type RunningServer, startServer } from '../../api/server.ts';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness, GENERAL } from '../support/master/api-harness.ts';
import { readEvents } from '../support/servers/event-reading.ts';

describe('API: figures for a dashboard', () => {
  const stopping = new AbortController();
  let api: ApiHarness;
  let server: RunningServer;
  let token: string;
  before(async () => {
    api = await createApiHarness({ deps: () => ({ stopping: stopping.signal }) });
    server = await startServer(api.app, { host: '127.0.0.1', port: 0 });
    token = await api.login('admin', ADMIN_PASSWORD);
  });
  after(async () => {
    await server?.stop();
    await api?.close();
  });
  const url = (query = ''): string => `http://127.0.0.1:${server.port}/api/v1/stream${query}`;
  const ticket = async (): Promise<string> =>
    (await api.call('POST', '/api/v1/auth/sse-ticket', { token })).json.ticket;

  // proof: field-4-3
  it('come at once by a ticket, with zero where there is no source', async () => {
    const reading = await readEvents(url(`?ticket=${await ticket()}&search=ssh`), {});
    const [stats, histogram] = await reading.take(2);
    assert.deepEqual(stats?.data, {
      type: 'stats',
      data: { total_logs: 0, unique_attackers: 0, active_deckies: 0, deployed_deckies: 0 },
    });
    assert.deepEqual([stats?.event, histogram?.data], ['message', { type: 'histogram', data: [] }]);
    reading.close();
  });

  // proof: field-4-3
  it('count what should be, and what was seen running', async () => {
    const body = { ini_content: `${GENERAL}[a]\nservices=ssh\n[b]\nservices=ssh\n` };
    assert.equal((await api.call('POST', '/api/v1/deckies/deploy', { token, body })).status, 202);
    const seen = async (): Promise<unknown> => {
      await pause(2_100);
      const { text, headers } = await api.call('GET', '/api/v1/stream?maxOutput=1', { token });
      assert.equal(headers.get('content-type'), 'text/event-stream');
      const { data } = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '{}');
      return [data.deployed_deckies, data.active_deckies];
    };
    assert.deepEqual(await seen(), [2, 0]);
    await api.settle();
    assert.deepEqual(await seen(), [2, 2]);
    await api.database.sql`update fleet_deckies set state = 'failed' where name = 'a'`;
    assert.deepEqual(await seen(), [2, 1]);
  });

  // proof: field-4-3
  it('are for who has a token or an unused ticket', async () => {
    const status = async (query: string): Promise<number> => (await fetch(url(query))).status;
    assert.deepEqual(await Promise.all([status(''), status('?ticket=guessed'), status('?ticket=')]), [401, 401, 401]);
    const once = await ticket();
    const first = await fetch(url(`?ticket=${once}&maxOutput=1`));
    assert.match(await first.text(), /"type":"stats"/);
    assert.equal(await status(`?ticket=${once}`), 401);
    for (const query of ['maxOutput=-1', 'maxOutput=x', 'lastEventId=x'])
      assert.equal((await api.call('GET', `/api/v1/stream?${query}`, { token })).status, 422, query);
    const head = await fetch(url(), { method: 'HEAD', headers: { authorization: `Bearer ${token}` } });
    assert.equal(head.status, 200);
  });

  it('are no more than 250 streams of one user, and a place that is left is free', async () => {
    const readers = await Promise.all(
      Array.from({ length: 250 }, () => readEvents(url(), { authorization: `Bearer ${token}` })),
    );
    const more = await api.call('GET', '/api/v1/stream', { token });
    assert.equal(more.status, 429);
    assert.equal(more.json.error, more.json.detail);
    readers[0]?.close();
    for (const end = Date.now() + 10_000; ; await pause(50)) {
      const again = await api.call('GET', '/api/v1/stream?maxOutput=0', { token });
      if (again.status === 200) break;
      assert.ok(Date.now() < end, 'the place that was left is taken still');
    }
    for (const reader of readers) reader.close();
  });

  it('end when the token does, when a look fails for good reason not at all', async () => {
    let allowed = true;
    let fails = false;
    let left = 0;
    const looks = async () => {
      if (fails) throw new Error('the database is away');
      return { deployed: 1, active: 1 };
    };
    const first = { deployed: 1, active: 1 };
    const dashboard = {
      figures: looks,
      allowed: async () => allowed,
      left: () => {
        left += 1;
      },
      most: Infinity,
      stopping: undefined,
      everyMs: 1,
    };
    const app = new Hono().get('/', (c) => stream(c, (out) => writeFigures(out, first, dashboard)));
    const reader = (await app.request('/')).body?.getReader();
    assert.ok(reader);
    const next = async (): Promise<string | undefined> => {
      const { value } = await reader.read();
      return value && Buffer.from(value).toString();
    };
    fails = true;
    for (let round = 0; round < 10; round += 1) await next();
    assert.match((await next()) ?? '', /^: /);
    fails = false;
    assert.match((await next()) ?? '', /"active_deckies":1/);
    allowed = false;
    let after = 0;
    while ((await next()) !== undefined) after += 1;
    assert.ok(after <= 6, `${after} events after the token’s end`);
    assert.equal(left, 1);
  });

  it('are asked for once by all who want them at the same time, and again after a failure', async () => {
    let asked = 0;
    const figures = sharedFigures(async () => {
      asked += 1;
      if (asked === 1) throw new Error('the database is away');
      return { deployed: 1, active: 0 };
    });
    await assert.rejects(figures());
    await Promise.all(Array.from({ length: 50 }, figures));
    assert.equal(asked, 2);
  });

  // proof: field-4-3
  it('end when the master stops', async () => {
    const answer = await fetch(url(), { headers: { authorization: `Bearer ${token}` } });
    stopping.abort();
    assert.match(await answer.text(), /"type":"stats"/);
  });
});
