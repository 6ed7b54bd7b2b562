/** `GET /events` on a real bus: order, resuming, filters, many readers on one consumer, and who may read. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { type Bus, createBus } from '../../adapters/nats/bus.ts';
import { createEventLog } from '../../adapters/nats/event-log.ts';
import { createEventStream, type EventStream } from '../../adapters/nats/event-stream.ts';
import { drainOutbox } from '../../adapters/postgres/outbox.ts';
import { type RunningServer, startServer } from '../../api/server.ts';
import { contextOf } from '../../cli/context.ts';
import { events as printEvents } from '../../cli/feed.ts';
import { capturedIo } from '../support/clients/captured-io.ts';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness, GENERAL } from '../support/master/api-harness.ts';
import { type EventReading, readEvents } from '../support/servers/event-reading.ts';
import { testServers } from '../support/stack/stack.ts';

describe('API: events', () => {
  const name = `events_${randomBytes(4).toString('hex')}`;
  let events: EventStream;
  let api: ApiHarness;
  let bus: Bus;
  let server: RunningServer;
  let token: string;
  const readings: EventReading[] = [];
  let deckies = 0;

  before(async () => {
    events = createEventStream(createEventLog(testServers.natsUrl, name));
    api = await createApiHarness({ deps: () => ({ events }) });
    bus = createBus(testServers.natsUrl, name);
    server = await startServer(api.app, { host: '127.0.0.1', port: 0 });
    token = await api.login('admin', ADMIN_PASSWORD);
    const body = { deployment_limit: 2_000 };
    assert.equal((await api.call('PUT', '/api/v1/config/deployment-limit', { token, body })).status, 200);
  });
  afterEach(() => {
    for (const reading of readings.splice(0)) reading.close();
  });
  after(async () => {
    await events.close('over');
    await server.stop();
    await bus.close();
    await api.close();
  });

  const read = async (query: string, headers: Record<string, string> = {}): Promise<EventReading> => {
    const url = `http://127.0.0.1:${server.port}/api/v1/events${query}`;
    const reading = await readEvents(url, { authorization: `Bearer ${token}`, ...headers });
    readings.push(reading);
    return reading;
  };

  /** Each decky of it leaves two events: running, succeeded. */
  async function deploy(count: number): Promise<{ id: string; names: string[] }> {
    const names = Array.from({ length: count }, (_, index) => `d${deckies + index}`);
    deckies += count;
    const ini =
      GENERAL.replace('10.77.0.0/24', '10.77.0.0/16') + names.map((one) => `[${one}]\nservices=ssh\n`).join('');
    const answer = await api.call('POST', '/api/v1/deckies/deploy', { token, body: { ini_content: ini } });
    assert.equal(answer.status, 202, answer.text);
    return { id: answer.headers.get('deckhand-deployment-id') ?? '', names };
  }
  async function end(): Promise<void> {
    await api.settle();
    await drainOutbox(api.database.sql, bus.publish);
  }

  it('gives each transition as it happens, with what it is about', async () => {
    const { id, names } = await deploy(2);
    const reading = await read(`?deployment=${id}`);
    await end();
    const seen = await reading.take(4);
    assert.deepEqual(
      seen.map(({ data }) => [data.decky_name, data.payload.status]),
      [...names.map((one) => [one, 'running']), ...names.map((one) => [one, 'succeeded'])],
    );
    for (const { id: sequence, event, data } of seen) {
      assert.ok(Number(sequence) > 0);
      assert.equal(event, 'lifecycle');
      assert.deepEqual([data.deployment_id, data.host_uuid, data.v], [id, null, 1]);
      assert.equal(data.topic, `decky.${data.decky_name}.lifecycle`);
    }
  });

  // proof: events
  it('goes on after Last-Event-ID: none is missed, none comes twice, also while more come', async () => {
    const { id } = await deploy(60);
    const first = await read(`?deployment=${id}`);
    await end();
    const seen = await first.take(120);
    const all = seen.map((one) => one.id);
    for (const cut of [0, 1, 59, 118]) {
      const resumed = await read(`?deployment=${id}`, { 'last-event-id': all[cut] ?? '' });
      assert.deepEqual(
        (await resumed.take(119 - cut)).map((one) => one.id),
        all.slice(cut + 1),
      );
    }
    const more = await deploy(30);
    const ending = end();
    const joined = await read('', { 'last-event-id': all[0] ?? '' });
    await ending;
    const ours = (await joined.take(119 + 60, (one) => [id, more.id].includes(one.data.deployment_id))).map((one) =>
      Number(one.id),
    );
    assert.deepEqual(
      ours,
      [...new Set(ours)].sort((a, b) => a - b),
    );
  });

  it('filters by decky and by host', async () => {
    const { names } = await deploy(3);
    const byDecky = await read(`?decky=${names[1]}`);
    const byHost = await read(`?host=local&decky=${names[2]}`);
    const elsewhere = await read(`?host=another&decky=${names[2]}`);
    await end();
    assert.deepEqual(
      (await byDecky.take(2)).map(({ data }) => data.decky_name),
      [names[1], names[1]],
    );
    assert.equal((await byHost.take(2)).length, 2);
    assert.equal(elsewhere.events.length, 0);
  });

  // proof: events
  it('serves 200 readers by one consumer', async () => {
    const { id } = await deploy(300);
    const many = await Promise.all(Array.from({ length: 200 }, () => read(`?deployment=${id}`)));
    await end();
    const [first, ...rest] = await Promise.all(many.map((one) => one.take(600)));
    const ids = first?.map((one) => one.id);
    assert.equal(new Set(ids).size, 600);
    for (const seen of rest)
      assert.deepEqual(
        seen.map((one) => one.id),
        ids,
      );
    const nc = await connect({ servers: testServers.natsUrl });
    const names: string[] = [];
    for await (const consumer of (await jetstreamManager(nc)).consumers.list('DECKHAND_EVENTS'))
      names.push(consumer.name);
    await nc.close();
    assert.equal(names.filter((one) => one.startsWith(name)).length, 1);
  });

  it('lets nobody read without a token, a ticket only once, and a user no more than 250 streams', async () => {
    const url = `http://127.0.0.1:${server.port}/api/v1/events`;
    assert.equal((await fetch(url)).status, 401);
    assert.equal((await fetch(`${url}?ticket=guessed`)).status, 401);
    const { json } = await api.call('POST', '/api/v1/auth/sse-ticket', { token });
    const head = await fetch(url, { method: 'HEAD', headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual([head.status, head.headers.get('content-type')], [200, 'text/event-stream']);
    const reading = await readEvents(`${url}?ticket=${json.ticket}`, {});
    readings.push(reading);
    assert.equal((await fetch(`${url}?ticket=${json.ticket}`)).status, 401);
    const open = await Promise.all(Array.from({ length: 249 }, () => read('')));
    const refused = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(refused.status, 429);
    assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/);
    await refused.text();
    for (const one of open) one.close();
    for (const end = Date.now() + 10_000; ; ) {
      const again = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
      await again.body?.cancel();
      if (again.status === 200) break;
      assert.ok(Date.now() < end, 'closed streams still count');
    }
  });

  it('lets no ticket in whose token has ended', async () => {
    const url = `http://127.0.0.1:${server.port}/api/v1/events`;
    const another = await api.login('admin', ADMIN_PASSWORD);
    const { json } = await api.call('POST', '/api/v1/auth/sse-ticket', { token: another });
    assert.equal((await api.call('POST', '/api/v1/auth/logout', { token: another })).status, 200);
    assert.equal((await fetch(`${url}?ticket=${json.ticket}`)).status, 401);
  });

  it('are what `deckhand events` prints, also those that came before it began', async () => {
    const { id, names } = await deploy(2);
    const first = await read(`?deployment=${id}`);
    await end();
    const [begun] = await first.take(4);
    const DECKHAND_API_URL = `http://127.0.0.1:${server.port}`;
    const io = capturedIo({ DECKHAND_API_URL, DECKHAND_TOKEN: token });
    const since = String(Number(begun?.id) - 1);
    const options = { deployment: id, since, count: 4 };
    assert.equal(await printEvents(contextOf(io, {}), options), 0);
    assert.deepEqual(
      io.lines.map((line) => line.replace(/^\d\d:\d\d:\d\d {2}/, '')),
      [...names.map((one) => `${one}  deploy  running`), ...names.map((one) => `${one}  deploy  succeeded`)],
    );
    const asJson = capturedIo({ DECKHAND_API_URL, DECKHAND_TOKEN: token });
    assert.equal(
      await printEvents(contextOf(asJson, { json: true }), { ...options, decky: names[0] ?? '', count: 2 }),
      0,
    );
    assert.deepEqual(
      asJson.lines.map((line) => JSON.parse(line).payload.status),
      ['running', 'succeeded'],
    );
  });

  it('tells a reader of events that never were', async () => {
    const reading = await read('', { 'last-event-id': '9007199254740000' });
    const [gap] = await reading.take(1, (one) => one.event === 'gap');
    assert.match(String(gap?.data.detail), /the stream was made anew/);
  });
});
