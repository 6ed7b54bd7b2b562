import assert from 'node:assert/strict';
import { returnedIds } from '../../adapters/postgres/deployments.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { createLifecycleReader, noteSteps, recordTransitions } from '../../adapters/postgres/rows.ts';
import type { Status } from '../../fleet/lifecycle.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { storeDeploy } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

const DECKIES = '[a]\nservices=ssh\n[b]\nservices=http\n';

describe('lifecycle rows in PostgreSQL', () => {
  let database: TestDatabase;
  let ids: string[];
  beforeEach(async () => {
    database = await createTestDatabase();
    const request = await storeDeploy(database.sql, DECKIES);
    assert.deepEqual(await acceptRequest(database.sql, request), { accepted: true });
    ids = (await returnedIds(database.sql, request)).lifecycle_ids;
  });
  afterEach(() => database.drop());

  const set = (id: string, status: Status) =>
    database.sql`update decky_lifecycle set status = ${status} where id = ${id}`;
  const row = async (id: string) => (await createLifecycleReader(database.sql).byIds([id]))[0];
  const decky = async (name: string) =>
    (await createFleetReader(database.sql).overview()).deckies.find((one) => one.name === name);

  // proof: promise-2, gap-a14
  it('a row that has ended never changes, whoever asks (promise 2, gap A14)', async () => {
    const [id = ''] = ids;
    await set(id, 'running');
    await set(id, 'succeeded');
    for (const status of ['pending', 'running', 'failed'] as const)
      await assert.rejects(set(id, status), /never changes/);
    await assert.rejects(database.sql`update decky_lifecycle set error = 'late' where id = ${id}`, /never changes/);
    assert.equal((await row(id))?.status, 'succeeded');
  });

  // proof: promise-2
  it('states only move forward, and nothing succeeds that did not run', async () => {
    const [id = ''] = ids;
    await assert.rejects(set(id, 'succeeded'), /does not follow/);
    await set(id, 'running');
    await assert.rejects(set(id, 'pending'), /does not follow/);
  });

  // proof: gap-a14
  it('only an ended row has completed_at (gap A14)', async () => {
    const [id = ''] = ids;
    await database.sql`update decky_lifecycle set status = 'running', completed_at = now() where id = ${id}`;
    assert.equal((await row(id))?.completed_at, null);
    await set(id, 'failed');
    assert.match((await row(id))?.completed_at ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  });

  // proof: promise-2
  it('a decky has one open row at most (promise 2)', async () => {
    await assert.rejects(
      database.sql`insert into decky_lifecycle (id, decky_name, operation, workflow_id) values ('other', 'a', 'mutate', 'w')`,
      /decky_lifecycle_one_open/,
    );
  });

  // proof: promise-5, gap-a13
  it('each transition leaves one event, in the same transaction (gap A13)', async () => {
    const [id = ''] = ids;
    await assert.rejects(
      database.sql.begin(async (tx) => {
        await tx`update decky_lifecycle set status = 'running' where id = ${id}`;
        throw new Error('the transaction fails');
      }),
    );
    const events = () => database.sql<{ message_id: string }[]>`select message_id from outbox order by id`;
    assert.deepEqual([...(await events())], []);
    await recordTransitions(database.sql, [
      { lifecycleId: id, deckyName: 'a', status: 'running' },
      { lifecycleId: id, deckyName: 'a', status: 'succeeded' },
    ]);
    assert.deepEqual(
      (await events()).map((event) => event.message_id),
      [`${id}:running`, `${id}:succeeded`],
    );
  });

  it('recording twice changes nothing the second time', async () => {
    const transitions = ids.flatMap((lifecycleId) => [
      { lifecycleId, deckyName: 'a', status: 'running' as const },
      { lifecycleId, deckyName: 'a', status: 'failed' as const, error: 'ContainerExited: gone' },
    ]);
    assert.equal((await recordTransitions(database.sql, transitions)).length, 4);
    assert.equal((await recordTransitions(database.sql, transitions)).length, 0);
    assert.equal((await database.sql`select from outbox`).length, 4);
  });

  // proof: gap-b5
  it('a decky is established by its first success, and falls back to its last good version (gap B5)', async () => {
    const [a = '', b = ''] = ids;
    assert.deepEqual([(await decky('a'))?.state, (await decky('a'))?.established], ['pending', false]);
    const end = (lifecycleId: string, status: 'succeeded' | 'failed') =>
      recordTransitions(database.sql, [
        { lifecycleId, deckyName: '', status: 'running' },
        { lifecycleId, deckyName: '', status, ...(status === 'failed' ? { error: 'ContainerExited: x' } : {}) },
      ]);
    await end(a, 'succeeded');
    await end(b, 'failed');
    assert.deepEqual([(await decky('a'))?.state, (await decky('a'))?.established], ['running', true]);
    assert.deepEqual([(await decky('b'))?.state, (await decky('b'))?.established], ['failed', false]);
    const request = await storeDeploy(database.sql, '[a]\nservices=telnet\n', true);
    await acceptRequest(database.sql, request);
    assert.deepEqual((await decky('a'))?.services, ['telnet']);
    await end((await returnedIds(database.sql, request)).lifecycle_ids[0] ?? '', 'failed');
    assert.deepEqual([(await decky('a'))?.services, (await decky('a'))?.state], [['ssh'], 'running']);
  });

  // proof: gap-c5
  it('a step is noted on open rows only (gap C5)', async () => {
    const [a = '', b = ''] = ids;
    await set(b, 'failed');
    await noteSteps(database.sql, new Map([a, b].map((id) => [id, { step: 'starting', attempt: 1 }])));
    const steps = await database.sql<{ step: string | null }[]>`select step from decky_lifecycle order by position`;
    assert.deepEqual(
      steps.map((one) => one.step),
      ['starting', null],
    );
  });
});
