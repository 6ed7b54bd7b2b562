/** Deckies whose host was removed while it could not be reached. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { returnedIds } from '../../adapters/postgres/deployments.ts';
import { createDriftReader } from '../../adapters/postgres/drift.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { createReportedDeckyStore } from '../../adapters/postgres/host-reports.ts';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { createLifecycleReader, recordTransitions } from '../../adapters/postgres/rows.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { storeDeploy } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

describe('deckies of a host that was removed', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
    const h1 = await enroll('h1');
    await deploy('[a]\nservices=ssh\n[b]\nservices=http\n');
    await createHostStore(database.sql).remove(h1);
    await createReportedDeckyStore(database.sql).leaveBehind(h1, 'h1');
  });
  afterEach(() => database.drop());

  async function enroll(name: string): Promise<string> {
    const uuid = randomUUID();
    const at = { address: '192.0.2.1', agentPort: 8765, notes: null, useIpvlan: false, fenced: true };
    await createHostStore(database.sql).enroll({ uuid, name, ...at, fingerprint: name, certNotAfter: new Date() });
    return uuid;
  }
  async function deploy(ini: string): Promise<string[]> {
    const id = await storeDeploy(database.sql, ini);
    assert.deepEqual(await acceptRequest(database.sql, id), { accepted: true });
    const ids = (await returnedIds(database.sql, id)).lifecycle_ids;
    const rows = (await createLifecycleReader(database.sql).byIds(ids)).map((row) => ({
      lifecycleId: row.id,
      deckyName: row.decky_name,
    }));
    await recordTransitions(
      database.sql,
      rows.map((row) => ({ ...row, status: 'running' as const })),
    );
    await recordTransitions(
      database.sql,
      rows.map((row) => ({ ...row, status: 'succeeded' as const })),
    );
    return rows.map((row) => row.deckyName);
  }
  const listed = async () =>
    (await createFleetReader(database.sql).overview()).deckies.map((one) => [
      one.name,
      one.state,
      one.drift,
      one.host_uuid,
    ]);
  const drift = async () =>
    (await createDriftReader(database.sql).drift({})).map((one) => `${one.decky_name} ${one.reason}: ${one.detail}`);

  // proof: field-3.9-1
  it('are named by drift and by the list, and no reconcile claims to mend them', async () => {
    assert.deepEqual(
      (await listed()).map((one) => one.slice(0, 3)),
      [
        ['a', 'unknown', ['missing']],
        ['b', 'unknown', ['missing']],
      ],
    );
    assert.match((await drift())[0] ?? '', /^a missing: its host is not enrolled any more/);
    assert.equal((await createDriftReader(database.sql).mendable({ deckies: null, host: null })).length, 0);
  });

  // proof: field-3.9-1
  it('move with the next additive deploy of others', async () => {
    const h2 = await enroll('h2');
    assert.deepEqual(await deploy('[c]\nservices=ssh\n'), ['c', 'a', 'b']);
    assert.deepEqual(
      await listed(),
      ['a', 'b', 'c'].map((name) => [name, 'running', [], h2]),
    );
    assert.deepEqual(await drift(), []);
  });

  // proof: field-3.9-1
  it('can be deployed again by their names, and the others move along', async () => {
    const h2 = await enroll('h2');
    assert.deepEqual(await deploy('[a]\nservices=ftp\n'), ['a', 'b']);
    assert.deepEqual(
      await listed(),
      ['a', 'b'].map((name) => [name, 'running', [], h2]),
    );
  });
});
