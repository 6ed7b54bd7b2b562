import assert from 'node:assert/strict';
import postgres from 'postgres';
import { BOUNDS, openDatabase } from '../../adapters/postgres/connect.ts';
import { type CuttableDatabase, openCuttableDatabase } from '../drills/cuttable-database.ts';
import { testDirectory } from '../support/stack/stack.ts';

describe('the database of a drill', () => {
  let database: CuttableDatabase;
  before(async () => {
    database = await openCuttableDatabase(testDirectory('cuttable'));
  });
  after(() => database.close());

  it('leaves an open connection without an answer and without an end, and serves a new one', async () => {
    const cut = postgres(database.url, { max: 1 });
    await cut`select 1`;
    assert.equal(database.cutOff(), 1);
    let ended = false;
    void cut`select 2`.then(
      () => {
        ended = true;
      },
      () => {
        ended = true;
      },
    );
    const fresh = postgres(database.url, { max: 1 });
    assert.deepEqual([...(await fresh`select 3 as number`)], [{ number: 3 }]);
    await fresh.end();
    assert.equal(ended, false);
    await cut.end({ timeout: 0 });
  });

  it('that is cut off costs a pool one silence, however many of its connections stood idle', async () => {
    const sql = openDatabase(database.url, { max: 8, bounds: { ...BOUNDS, silenceMs: 500 } });
    await Promise.all(Array.from({ length: 8 }, () => sql`select pg_sleep(0.2)`));
    assert.equal(database.cutOff(), 8);
    await assert.rejects(sql`select 1`, { code: 'ETIMEDOUT' });
    for (let asked = 0; asked < 8; asked += 1) assert.equal((await sql`select 2 as number`)[0]?.number, 2);
    await sql.end({ timeout: 1 });
  });
});
