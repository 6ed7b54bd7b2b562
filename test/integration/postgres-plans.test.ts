/** A pool keeps its statements prepared, and a plan that was made while the tables were empty must do when they are not. */
import assert from 'node:assert/strict';
import { openDatabase, type Sql } from '../../adapters/postgres/connect.ts';
import { drainOutbox } from '../../adapters/postgres/outbox.ts';
import { recordTransitions } from '../../adapters/postgres/rows.ts';
import { createSettings } from '../../adapters/postgres/settings.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { storeDeploy, TEST_NETWORK } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

/** PostgreSQL keeps one plan for all values after five executions with plans of their own. */
const UNTIL_A_PLAN_IS_KEPT = 6;
/** Enough that PostgreSQL does better by an index. */
const DECKIES = 2_000;
/** Of them, recorded one by one. */
const RECORDED = 200;
/**
 * Events go in batches of 200. By a good plan, too, a batch may read all rows once, when PostgreSQL guesses that cheaper than
 * 200 by an index: (10 + 2) × 2,000 in all. By the plans of empty tables it was 800,000 and more.
 */
const READ_AT_MOST = 15 * DECKIES;
const NETWORK = { ...TEST_NETWORK, bridge_pool: '10.77.0.0/16' };
const TABLES = ['decky_lifecycle', 'decky_shards', 'fleet_deckies', 'outbox'];

describe('by plans that were made while the tables were empty', () => {
  let database: TestDatabase;
  /** One connection, so that each statement meets the plan that it left. */
  let pool: Sql;
  beforeEach(async () => {
    database = await createTestDatabase();
    pool = openDatabase(database.url, { schema: database.schema, max: 1, applicationName: database.schema });
    for (const table of TABLES) {
      await database.sql`alter table ${database.sql(table)} set (autovacuum_enabled = false)`;
      await database.sql`vacuum analyze ${database.sql(table)}`;
    }
  });
  afterEach(async () => {
    await pool.end({ timeout: 1 });
    await database.drop();
  });

  /** Rows that have been read of all tables so far, by scans and by indexes. */
  async function readSoFar(): Promise<number> {
    await pool`select pg_stat_force_next_flush()`;
    const [row] = await database.sql<{ rows: number }[]>`
      select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int as rows
      from pg_stat_user_tables where schemaname = ${database.schema}`;
    return row?.rows ?? 0;
  }

  /** Deckies that were accepted by another connection. */
  async function acceptMany() {
    const { sql } = database;
    await createSettings(sql).setDeploymentLimit(DECKIES);
    const sections = Array.from({ length: DECKIES / 100 }, (_, index) => `[d${index}]\namount=100\nservices=ssh\n`);
    assert.deepEqual(await acceptRequest(sql, await storeDeploy(sql, sections.join(''), false, NETWORK)), {
      accepted: true,
    });
    const rows = await sql<{ id: string; decky_name: string }[]>`select id, decky_name from decky_lifecycle`;
    assert.equal(rows.length, DECKIES);
    return rows.map((row) => ({ lifecycleId: row.id, deckyName: row.decky_name }));
  }

  async function keepThePlanOf(statement: () => Promise<unknown>): Promise<void> {
    for (let time = 0; time < UNTIL_A_PLAN_IS_KEPT; time++) await statement();
  }

  it('events are sent without reading all rows for each', async () => {
    const drain = () => drainOutbox(pool, () => Promise.resolve());
    await keepThePlanOf(async () => {
      await database.sql`insert into outbox (message_id, decky_name, type, payload) values ('none', 'none', 'lifecycle', '{}')`;
      await drain();
      await database.sql`delete from outbox`;
    });
    const rows = await acceptMany();
    const moved = rows.map((row) => ({ ...row, status: 'running' as const }));
    await recordTransitions(database.sql, moved);
    const before = await readSoFar();
    assert.equal(await drain(), DECKIES);
    const read = (await readSoFar()) - before;
    assert.ok(read <= READ_AT_MOST, `${read} rows were read for ${DECKIES} events`);
  });

  it('each row is recorded without reading all others', async () => {
    const record = (status: 'running' | 'succeeded', row: { lifecycleId: string; deckyName: string }) =>
      recordTransitions(pool, [{ ...row, status }]);
    const unknown = { lifecycleId: 'none', deckyName: 'none' };
    await keepThePlanOf(() => record('running', unknown));
    await keepThePlanOf(() => record('succeeded', unknown));
    const rows = await acceptMany();
    const before = await readSoFar();
    for (const row of rows.slice(0, RECORDED)) {
      assert.deepEqual(await record('running', row), [row.lifecycleId]);
      assert.deepEqual(await record('succeeded', row), [row.lifecycleId]);
    }
    const read = (await readSoFar()) - before;
    assert.ok(read <= READ_AT_MOST, `${read} rows were read to record ${RECORDED}`);
  });
});
