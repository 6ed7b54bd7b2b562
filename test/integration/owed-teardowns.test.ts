/** Teardowns that a lost host owes, in PostgreSQL. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { returnedIds } from '../../adapters/postgres/deployments.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { createHostReports } from '../../adapters/postgres/host-reports.ts';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { createLifecycleReader, recordTransitions } from '../../adapters/postgres/rows.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { createPendingTeardowns } from '../../operations/pending-teardowns.ts';
import { storeDeploy, storeMove, storeMutate, storeTeardown, storeTeardownOf } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

const LOST = 'HostLost: host h1 gave no sign of life for 90 s';

describe('teardowns that a lost host owes', () => {
  let database: TestDatabase;
  let h1 = '';
  beforeEach(async () => {
    database = await createTestDatabase();
    h1 = await enroll('h1');
    await accept(await deployed('[a]\nservices=ssh\n[b]\nservices=http\n'));
  });
  afterEach(() => database.drop());

  async function enroll(name: string): Promise<string> {
    const uuid = randomUUID();
    const at = { address: '192.0.2.1', agentPort: 8765, notes: null, useIpvlan: false, fenced: true };
    await createHostStore(database.sql).enroll({ uuid, name, ...at, fingerprint: name, certNotAfter: new Date() });
    return uuid;
  }
  const deployed = (ini: string, replace = false) => storeDeploy(database.sql, ini, replace);
  /** Accepts a request and ends its rows; null leaves them open. */
  async function accept(id: string, error: string | null | undefined = undefined): Promise<string[]> {
    const outcome = await acceptRequest(database.sql, id);
    assert.deepEqual(outcome, { accepted: true });
    const { lifecycle_ids, removed_lifecycle_ids } = await returnedIds(database.sql, id);
    const ids = [...removed_lifecycle_ids, ...lifecycle_ids];
    if (error !== null) await end(ids, error);
    return ids;
  }
  async function end(ids: readonly string[], error?: string): Promise<void> {
    const rows = await createLifecycleReader(database.sql).byIds(ids);
    const about = rows.map((row) => ({ lifecycleId: row.id, deckyName: row.decky_name }));
    const done = error === undefined ? { status: 'succeeded' as const } : { status: 'failed' as const, error };
    await recordTransitions(
      database.sql,
      about.map((row) => ({ ...row, status: 'running' as const })),
    );
    await recordTransitions(
      database.sql,
      about.map((row) => ({ ...row, ...done })),
    );
  }
  const refusal = async (id: string): Promise<[string, string]> => {
    const outcome = await acceptRequest(database.sql, id);
    return outcome.accepted ? ['accepted', ''] : [outcome.code, outcome.detail];
  };
  const states = async () =>
    Object.fromEntries((await createFleetReader(database.sql).overview()).deckies.map((one) => [one.name, one.state]));
  const owed = async () =>
    (await database.sql<{ decky_name: string }[]>`select decky_name from owed_teardowns order by 1`).map(
      (row) => row.decky_name,
    );

  // proof: gap-b11
  it('are listed, refuse other work by name of the host, and end the books once the host is back (gaps B17, C16)', async () => {
    const reports = createHostReports(database.sql);
    const configs = await createFleetReader(database.sql).deckies();
    await reports.note(
      h1,
      configs.map((config) => ({ config, state: 'running', lastError: null })),
    );
    await accept(await storeTeardownOf(database.sql, h1), LOST);
    assert.deepEqual(await states(), { a: 'tearing_down', b: 'tearing_down' });
    assert.deepEqual(
      (await reports.reportedDeckies({ state: 'tearing_down' })).map((one) => [one.decky_name, one.last_error]),
      [
        ['a', LOST],
        ['b', LOST],
      ],
    );
    const [code, detail] = await refusal(await deployed('[a]\nservices=ssh\n'));
    assert.equal(code, 'DeckyExists');
    assert.match(detail, /'a' is being taken down: host h1/);
    assert.equal((await refusal(await storeMutate(database.sql, 'a', ['ftp'])))[0], 'DeckyBusy');
    const report = { hash: 'x', agentVersion: null, fenced: true, deckies: [], present: ['a', 'b'], complete: true };
    assert.equal((await reports.take(h1, 'h1', report))?.hasPendingTeardowns, true);
    const ids = await accept(await storeTeardownOf(database.sql, h1, true), null);
    assert.equal((await reports.take(h1, 'h1', report))?.hasPendingTeardowns, false, 'it is under way');
    assert.equal((await refusal(await storeTeardownOf(database.sql, h1, true)))[0], 'NotFound', 'never doubled');
    await end(ids);
    assert.deepEqual([await states(), await owed(), await reports.reportedDeckies()], [{}, [], []]);
  });

  it('are no more where the decky is wanted again, and keep their names and addresses from a fleet without them', async () => {
    await accept(await storeTeardown(database.sql, 'a'), LOST);
    await accept(await storeTeardown(database.sql, 'b'), LOST);
    const [a] = await createFleetReader(database.sql).deckies();
    const request = await deployed('[b]\nservices=http\n[c]\nservices=ssh\n', true);
    const ids = await accept(request);
    assert.equal(ids.length, 2, 'a is owed already: no row more');
    assert.deepEqual([await owed(), await states()], [['a'], { a: 'tearing_down', b: 'running', c: 'running' }]);
    const now = await createFleetReader(database.sql).deckies();
    assert.equal(now.filter(({ ip }) => ip === a?.ip).length, 1);
  });

  it('are of the host that a decky moved away from, and leave the decky alone where it went', async () => {
    await accept(await deployed('[m]\nservices=ssh\n'), LOST);
    await createHostStore(database.sql).markUnreachable(h1);
    const h2 = await enroll('h2');
    await accept(await deployed('[m]\nservices=ssh\n'));
    assert.deepEqual(await owed(), ['m']);
    await createHostStore(database.sql).markReachable(h1);
    assert.deepEqual(await createPendingTeardowns(database.sql).hostsBack(60_000), [h1]);
    await accept((await createPendingTeardowns(database.sql).storeRequest(h1)).operationId);
    const moved = (await createFleetReader(database.sql).deckies()).find((decky) => decky.name === 'm');
    assert.deepEqual([moved?.host_uuid, await owed()], [h2, []]);
  });

  // proof: move
  it('are of a host whose deckies move away, also when their rows are pruned', async () => {
    const { sql } = database;
    await enroll('h2');
    await sql`delete from deployments`;
    await accept(await storeMove(sql, h1));
    assert.deepEqual(await owed(), ['a', 'b']);
  });

  it('end with another reason, or with the host: nobody tries for ever', async () => {
    await accept(await storeTeardown(database.sql, 'a'), LOST);
    await accept(await storeTeardownOf(database.sql, h1, true), 'HostRefused: no');
    assert.deepEqual([(await states()).a, await owed()], ['teardown_failed', []]);
    await accept(await storeTeardown(database.sql, 'b'), LOST);
    await createHostStore(database.sql).remove(h1);
    assert.deepEqual(await owed(), []);
  });
});
