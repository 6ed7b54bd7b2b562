import assert from 'node:assert/strict';
import postgres from 'postgres';
import { type CuttableDatabase, openCuttableDatabase } from '../drills/cuttable-database.ts';
import { testDirectory } from '../support/stack.ts';

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
});
