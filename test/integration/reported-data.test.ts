/** What a host reported and PostgreSQL would refuse: each row ends, and none is tried for ever. */
import assert from 'node:assert/strict';
import { returnedIds } from '../../adapters/postgres/deployments.ts';
import { createLifecycleReader } from '../../adapters/postgres/rows.ts';
import type { DeckyState, Transition } from '../../fleet/lifecycle.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { createOperationStore } from '../../operations/store.ts';
import { storeDeploy } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

describe('transitions that the database refuses', () => {
  let database: TestDatabase;
  let transitions: readonly Transition[] = [];
  beforeEach(async () => {
    database = await createTestDatabase();
    const id = await storeDeploy(
      database.sql,
      ['a', 'b', 'c', 'd'].map((name) => `[${name}]\nservices=ssh\n`).join(''),
    );
    assert.deepEqual(await acceptRequest(database.sql, id), { accepted: true });
    const rows = await createLifecycleReader(database.sql).byIds((await returnedIds(database.sql, id)).lifecycle_ids);
    transitions = rows.map((row) => ({ lifecycleId: row.id, deckyName: row.decky_name, status: 'running' }));
    await createOperationStore(database.sql).record(transitions);
  });
  afterEach(() => database.drop());

  async function ends(more: readonly Partial<Transition>[]): Promise<(string | null)[][]> {
    const ended = transitions.map((one, at) => ({ ...one, status: 'failed' as const, ...more[at] }));
    const { moved } = await createOperationStore(database.sql).settle(ended, null);
    assert.equal(moved.length, transitions.length);
    const rows = await createLifecycleReader(database.sql).byIds(transitions.map((one) => one.lifecycleId));
    return rows.map((row) => [row.status, row.error]);
  }

  it('are stored as far as they can be: texts plain and bounded, unknown states as unknown', async () => {
    const rows = await ends([
      { error: 'X: \0\ud800 y' },
      { error: '😀'.repeat(5_000) },
      { error: 'X: z', seen: 'hibernating' as DeckyState },
      { status: 'succeeded' },
    ]);
    assert.deepEqual(
      [rows[0], rows[2], rows[3]],
      [
        ['failed', 'X:  y'],
        ['failed', 'X: z'],
        ['succeeded', null],
      ],
    );
    assert.ok([...(rows[1]?.[1] ?? '')].length <= 2_000);
  });

  // proof: field-1.2-2
  it('end their own row with a sentence, and leave the others of the batch as they are', async () => {
    await database.sql`alter table fleet_deckies add check (state <> 'degraded')`;
    const rows = await ends([
      { error: 'X: 1' },
      { error: 'X: 2', seen: 'degraded' },
      { status: 'succeeded' },
      { error: 'X: 4' },
    ]);
    assert.deepEqual(
      [rows[0], rows[2], rows[3]],
      [
        ['failed', 'X: 1'],
        ['succeeded', null],
        ['failed', 'X: 4'],
      ],
    );
    assert.match(rows[1]?.[1] ?? '', /^Internal: what the host reported could not be stored: .*check constraint/);
  });

  it('end their row alone where the fleet takes no end at all', async () => {
    await database.sql`alter table fleet_deckies add check (last_error is null or last_error = 'X: 1')`;
    const rows = await ends([{ error: 'X: 1' }, { error: 'X: 2' }, { status: 'succeeded' }, { status: 'succeeded' }]);
    assert.deepEqual(rows[0], ['failed', 'X: 1']);
    assert.match(rows[1]?.[1] ?? '', /^Internal: what the host reported could not be stored/);
  });
});
