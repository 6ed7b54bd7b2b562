/** A worker, a bus, a client or a server that stops without closing its connections is in nobody's way for long. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { type Bus, createBus } from '../../adapters/nats/bus.ts';
import { BOUNDS, type Bounds, openDatabase, reachable, type Sql } from '../../adapters/postgres/connect.ts';
import { migrate } from '../../adapters/postgres/migrate.ts';
import { drainOutbox } from '../../adapters/postgres/outbox.ts';
import { EVENT_STREAM, lifecycleSubject } from '../../fleet/lifecycle.ts';
import { type Cable, layCable } from '../support/servers/cable.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';
import { testServers } from '../support/stack/stack.ts';
import { until } from '../support/until.ts';

const UNAVAILABLE = { code: 'Unavailable' };
const LEASE_MS = 500;

describe('a peer that is frozen', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let opened: { end(options: { timeout: number }): Promise<void> }[];

  beforeEach(async () => {
    opened = [];
    database = await createTestDatabase();
  });
  afterEach(async () => {
    for (const one of opened) await one.end({ timeout: 1 });
    await database.drop();
  });

  const pool = (bounds: Partial<Bounds> = {}, url = database.url, max = 3): Sql => {
    const sql = openDatabase(url, { schema: database.schema, max, bounds: { ...BOUNDS, ...bounds } });
    opened.push(sql);
    return sql;
  };
  /** What the connections of the name are at, as PostgreSQL sees it. */
  const stateOf = (applicationName: string) => database.sql<{ state: string; waits: boolean }[]>`
    select state, wait_event_type = 'Lock' as waits from pg_stat_activity where application_name = ${applicationName}`;

  describe('while it sends the outbox', () => {
    let decky: string;
    let bus: Bus;
    beforeEach(() => {
      decky = `f${randomBytes(4).toString('hex')}`;
      bus = createBus(testServers.natsUrl, decky);
    });
    afterEach(() => bus.close());

    const announce = async (...ids: readonly number[]): Promise<void> => {
      for (const id of ids)
        await database.sql`insert into outbox (message_id, decky_name, type, payload)
          values (${`${decky}/${id}`}, ${decky}, 'lifecycle', '{}')`;
    };
    async function stored(): Promise<string[]> {
      const nats = await connect({ servers: testServers.natsUrl });
      try {
        const { name } = await (await jetstreamManager(nats)).consumers.add(EVENT_STREAM, {
          filter_subject: lifecycleSubject(decky),
          ack_policy: AckPolicy.None,
        });
        const consumer = await jetstream(nats).consumers.get(EVENT_STREAM, name);
        const found: string[] = [];
        for await (const message of await consumer.fetch({ max_messages: 100, expires: 1_000 }))
          found.push(message.headers?.get('Nats-Msg-Id') ?? '');
        return found;
      } finally {
        await nats.close();
      }
    }
    const inOrder = (count: number): string[] => Array.from({ length: count }, (_, index) => `${decky}/${index + 1}`);

    // proof: field-1.7-1
    it('a stopped worker holds no lock, another sends on, and order holds when it wakes', async () => {
      await announce(1, 2, 3);
      const child: ChildProcess = spawn(
        process.execPath,
        ['--import', 'tsx', new URL('../support/servers/drainer-program.ts', import.meta.url).pathname],
        {
          env: {
            PATH: process.env.PATH,
            DATABASE_URL: database.url,
            SCHEMA: database.schema,
            NATS_URL: testServers.natsUrl,
            LEASE_MS: String(LEASE_MS),
          },
          stdio: ['pipe', 'pipe', 'inherit'],
        },
      );
      let said = '';
      child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
      try {
        await until('the first event', () => said.includes(`next ${decky}/1`));
        child.stdin?.write('\n');
        await until('the second event', () => said.includes(`next ${decky}/2`));
        child.kill('SIGSTOP');
        await announce(4);
        const [frozen] = await stateOf(`${database.schema}-frozen`);
        assert.deepEqual([frozen?.state, frozen?.waits ?? false], ['idle', false]);
        await until('the lease to end', async () => (await drainOutbox(pool(), bus.publish)) > 0);
        child.kill('SIGCONT');
        child.stdin?.write('\n');
        await until('its end', () => said.includes('done') || child.exitCode !== null);
      } finally {
        child.kill('SIGKILL');
      }
      assert.deepEqual(await stored(), inOrder(4));
    });

    // proof: field-1.7-1
    it('a hung bus keeps nobody waiting: no lock, no open transaction, and others skip', async () => {
      await announce(1, 2);
      const name = `${database.schema}-hung`;
      const own = openDatabase(database.url, { schema: database.schema, max: 1, applicationName: name });
      opened.push(own);
      let letGo: () => void = () => undefined;
      const hung = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      let asked = false;
      const draining = drainOutbox(own, async (event) => {
        asked = true;
        await hung;
        await bus.publish(event);
      });
      await until('the bus to be asked', () => asked);
      const others = Array.from({ length: 12 }, () => drainOutbox(database.sql, bus.publish));
      assert.deepEqual(await Promise.all(others), Array(12).fill(0));
      const states = [...(await stateOf(name)), ...(await stateOf(database.schema))];
      assert.deepEqual([...new Set(states.map(({ state }) => state))].sort(), ['active', 'idle']);
      assert.ok(states.every(({ waits }) => !waits));
      letGo();
      assert.equal(await draining, 2);
      assert.deepEqual(await stored(), inOrder(2));
    });

    it('what is written while another sends is sent by that one, and does not wait for the next look', async () => {
      await announce(1);
      let skipped = false;
      const sent = await drainOutbox(pool(), async (event) => {
        await bus.publish(event);
        if (skipped) return;
        skipped = true;
        await announce(2, 3);
        assert.equal(await drainOutbox(database.sql, bus.publish), 0);
      });
      assert.equal(sent, 3);
    });

    it('a lock that somebody keeps on the lease stops the sending alone, until it is let go', async () => {
      await announce(1);
      const drainer = pool({ lockMs: 100 });
      await database.sql.begin(async (tx) => {
        await tx`select * from outbox_lease for update`;
        await assert.rejects(
          reachable(() => drainOutbox(drainer, bus.publish)),
          UNAVAILABLE,
        );
        assert.equal((await database.sql`select from outbox where sent_at is null`).length, 1);
      });
      assert.equal(await drainOutbox(drainer, bus.publish), 1);
    });
  });

  describe('as a client of PostgreSQL', () => {
    it('a transaction that stands idle is ended, and its locks with it', async () => {
      const stopped = pool({ idleInTransactionMs: 200 });
      const held = stopped.begin(async (tx) => {
        await tx`select * from outbox_lease for update`;
        await new Promise(() => undefined);
      });
      held.catch(() => undefined);
      await until('the lock', async () => {
        const [row] = await database.sql`select from outbox_lease for update skip locked`;
        return row === undefined;
      });
      await database.sql`select * from outbox_lease for update`;
      await assert.rejects(
        reachable(() => held),
        UNAVAILABLE,
      );
    });

    it('a lock that somebody keeps is waited for within bounds, and told as Unavailable', async () => {
      const waiting = pool({ lockMs: 100 });
      const change = () => reachable(() => waiting`update outbox_lease set wanted = true`);
      await database.sql.begin(async (tx) => {
        await tx`select * from outbox_lease for update`;
        await Promise.all(Array.from({ length: 12 }, () => assert.rejects(change(), UNAVAILABLE)));
      });
      await change();
    });

    it('a statement that takes too long is ended by the server, and told as Unavailable', async () => {
      const sql = pool({ statementMs: 100 });
      await assert.rejects(
        reachable(() => sql`select pg_sleep(60)`),
        { ...UNAVAILABLE, message: /\(57014\)/ },
      );
      assert.deepEqual([...(await sql`select 1 as one`)], [{ one: 1 }]);
    });
  });

  describe('as PostgreSQL', () => {
    let cable: Cable;
    let sql: Sql;
    beforeEach(async () => {
      const target = new URL(database.url);
      cable = await layCable(target.hostname, Number(target.port));
      target.port = String(cable.port);
      target.hostname = '127.0.0.1';
      sql = pool({ silenceMs: 400 }, target.href);
    });
    afterEach(() => cable.close());

    const kinds: readonly [string, (sql: Sql, n: number) => Promise<unknown>][] = [
      ['without parameters', (on) => on`select 1`],
      ['with parameters, for the first time', (on, n) => on`select ${n}::int`],
      ['of several, sent together', (on, n) => Promise.all([on`select 1`, on`select ${n}::text`, on`select 2`])],
      ['of a transaction', (on, n) => on.begin(async (tx) => await tx`select ${n}::int`)],
      ['that is simple', (on) => on.unsafe('select 1; select 2')],
    ];
    for (const [kind, statement] of kinds)
      it(`a statement ${kind} fails on a connection that went silent, and the next ones work`, async () => {
        await Promise.all(Array.from({ length: 6 }, () => sql`select pg_sleep(0.02)`));
        cable.hold(false);
        const stuck = Array.from({ length: 24 }, (_, n) => reachable(() => statement(sql, n)));
        const ends = await Promise.allSettled(stuck);
        // Those that no old connection took are answered by a new one.
        assert.ok(ends.some(({ status }) => status === 'rejected'));
        for (const end of ends)
          if (end.status === 'rejected') assert.equal((end.reason as { code?: string }).code, 'Unavailable');
        // The client tries a connection that is just being destroyed, too.
        const three = await until('an answer', () => sql`select 3 as three`.catch(() => null));
        assert.deepEqual([...three], [{ three: 3 }]);
      });

    it('a transaction is not stuck where the connection went silent in its middle', async () => {
      const stuck = sql.begin(async (tx) => {
        await tx`select 1`;
        cable.hold(false);
        await tx`select 2`;
      });
      await assert.rejects(
        reachable(() => stuck),
        UNAVAILABLE,
      );
      assert.deepEqual([...(await sql`select 3 as three`)], [{ three: 3 }]);
    });

    // proof: field-1.7-1
    it('statements and transactions all end where connections are closed under them', async () => {
      for (let round = 0; round < 2; round += 1) {
        const one = async (): Promise<void> => void (await sql`select pg_sleep(0.3)`);
        const two = (): Promise<void> =>
          sql.begin(async (tx) => {
            await tx`select 1`;
            await tx`select pg_sleep(0.3)`;
          });
        const all = Array.from({ length: 24 }, (_, n) => (n % 2 === 0 ? one() : two()));
        const ends = Promise.allSettled(all.map((work) => reachable(() => work)));
        await until('the statements to be sent', () => cable.open >= 3);
        await cable.cut();
        const next = Array.from({ length: 3 }, () => reachable(() => sql`select 1`));
        for (const end of [...(await ends), ...(await Promise.allSettled(next))])
          if (end.status === 'rejected') assert.equal((end.reason as { code?: string }).code, 'Unavailable');
        await cable.mend();
        const three = await until('an answer', () => sql`select 3 as three`.catch(() => null));
        assert.deepEqual([...three], [{ three: 3 }]);
      }
    });

    it('a statement that takes longer than most is waited for where the pool allows it', async () => {
      const target = new URL(database.url);
      const patient = pool({ silenceMs: 60_000 }, target.href);
      assert.equal((await patient`select pg_sleep(1)`).length, 1);
    });

    it('a connection without a statement is left alone, however long nothing is said', async () => {
      const one = pool({ silenceMs: 50 }, database.url, 1);
      const [before] = await one`select pg_backend_pid() as pid`;
      await new Promise((resolve) => setTimeout(resolve, 300));
      const [after] = await one`select pg_backend_pid() as pid`;
      assert.equal(after?.pid, before?.pid);
    });
  });

  it('programs that start find the schema as it is without a lock', async () => {
    await database.sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(7236001, hashtext(${database.schema}))`;
      assert.deepEqual(await migrate(pool(), database.schema), []);
    });
  });
});
