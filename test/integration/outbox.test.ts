import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type Bus, createBus } from '../../adapters/nats/bus.ts';
import { drainOutbox } from '../../adapters/postgres/outbox.ts';
import { EVENT_STREAM, lifecycleSubject } from '../../fleet/lifecycle.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';
import { testServers } from '../support/stack/stack.ts';

describe('the outbox and the bus', () => {
  let database: TestDatabase;
  let nats: NatsConnection;
  let decky: string;
  let opened: Bus[] = [];
  const openBus = (url = testServers.natsUrl): Bus => {
    const bus = createBus(url);
    opened.push(bus);
    return bus;
  };
  beforeEach(async () => {
    database = await createTestDatabase();
    nats = await connect({ servers: testServers.natsUrl });
    decky = `o${randomBytes(4).toString('hex')}`;
  });
  afterEach(async () => {
    for (const bus of opened) await bus.close();
    opened = [];
    await nats.close();
    await database.drop();
  });

  /** Ids of this test alone: JetStream drops what it has seen in the last 24 hours. */
  const messageId = (id: string): string => `${decky}/${id}:running`;
  const announce = (id: string) => database.sql`
    insert into outbox (message_id, decky_name, type, payload) values (${messageId(id)}, ${decky}, 'lifecycle', ${database.sql.json({ lifecycle_id: id })})`;

  async function stored(): Promise<{ id: string; subject: string; envelope: Record<string, unknown> }[]> {
    const manager = await jetstreamManager(nats);
    const { name } = await manager.consumers.add(EVENT_STREAM, {
      filter_subject: lifecycleSubject(decky),
      ack_policy: AckPolicy.None,
    });
    const consumer = await jetstream(nats).consumers.get(EVENT_STREAM, name);
    const found = [];
    for await (const message of await consumer.fetch({ max_messages: 100, expires: 1_000 }))
      found.push({
        id: message.headers?.get('Nats-Msg-Id') ?? '',
        subject: message.subject,
        envelope: message.json<Record<string, unknown>>(),
      });
    return found;
  }

  // proof: promise-5, subscribers, gap-a10
  it('sends in order, in DECNET’s envelope, for subscribers now and later (gap A12)', async () => {
    const live = nats.subscribe(lifecycleSubject(decky), { max: 3 });
    for (const id of ['1', '2', '3']) await announce(id);
    const bus = openBus();
    assert.equal(await drainOutbox(database.sql, bus.publish), 3);
    const seen: string[] = [];
    for await (const message of live)
      seen.push(message.json<{ payload: { lifecycle_id: string } }>().payload.lifecycle_id);
    assert.deepEqual(seen, ['1', '2', '3']);
    const later = await stored();
    assert.deepEqual(
      later.map((one) => one.id),
      ['1', '2', '3'].map(messageId),
    );
    const envelope = later[0]?.envelope ?? {};
    assert.deepEqual(Object.keys(envelope).sort(), ['id', 'payload', 'topic', 'ts', 'type', 'v']);
    assert.match(String(envelope.id), /^[0-9a-f]{32}$/);
    assert.equal(envelope.topic, lifecycleSubject(decky));
  });

  // proof: promise-5
  it('an event that was sent but not marked is stored once', async () => {
    await announce('1');
    const bus = openBus();
    await drainOutbox(database.sql, bus.publish);
    await database.sql`update outbox set sent_at = null`;
    assert.equal(await drainOutbox(database.sql, bus.publish), 1);
    assert.equal((await stored()).length, 1);
  });

  // proof: promise-5
  it('a bus that fails in the middle keeps what it took, and the rest follows in order (promise 5)', async () => {
    for (const id of ['1', '2', '3', '4']) await announce(id);
    const bus = openBus();
    let taken = 0;
    const failing: typeof bus.publish = async (event) => {
      if (taken === 2) throw new Error('the bus is down');
      taken += 1;
      await bus.publish(event);
    };
    await assert.rejects(drainOutbox(database.sql, failing), /the bus is down/);
    assert.equal(await drainOutbox(database.sql, bus.publish), 2);
    assert.deepEqual(
      (await stored()).map((one) => one.id),
      ['1', '2', '3', '4'].map(messageId),
    );
  });

  // proof: promise-5
  it('two drainers at the same time send each event once and in order', async () => {
    for (let id = 0; id < 60; id += 1) await announce(String(id));
    const buses = [openBus(), openBus()];
    const counts = await Promise.all(buses.map((bus) => drainOutbox(database.sql, bus.publish)));
    assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), 60);
    assert.deepEqual(
      (await stored()).map((one) => one.id),
      Array.from({ length: 60 }, (_, id) => messageId(String(id))),
    );
  });

  it('a bus that can’t be reached is said to be, and nothing is marked', async () => {
    await announce('1');
    const bus = openBus('nats://127.0.0.1:1');
    await assert.rejects(drainOutbox(database.sql, bus.publish), /can’t be reached/);
    assert.equal((await database.sql`select from outbox where sent_at is null`).length, 1);
  });
});
