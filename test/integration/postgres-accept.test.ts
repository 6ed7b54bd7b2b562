import assert from 'node:assert/strict';
import { closeRequest, returnedIds, storeRequest } from '../../adapters/postgres/deployments.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { recordTransitions } from '../../adapters/postgres/rows.ts';
import { closeTicket, currentTicket } from '../../adapters/postgres/tickets.ts';
import { LOCAL_HOST } from '../../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../../fleet/limits.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { storeDeploy, storeTeardown, TEST_NETWORK } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

const ONE = '[a]\nservices=ssh\n';

describe('acceptance in PostgreSQL', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  const count = async (table: string): Promise<number> =>
    (await database.sql`select from ${database.sql(table)}`).length;
  const succeed = async (request: string): Promise<void> => {
    const { lifecycle_ids, removed_lifecycle_ids } = await returnedIds(database.sql, request);
    const all = [...removed_lifecycle_ids, ...lifecycle_ids];
    await recordTransitions(
      database.sql,
      all.map((lifecycleId) => ({ lifecycleId, deckyName: '', status: 'running' })),
    );
    await recordTransitions(
      database.sql,
      all.map((lifecycleId) => ({ lifecycleId, deckyName: '', status: 'succeeded' })),
    );
  };

  // proof: promise-1
  it('accepting twice returns the same rows', async () => {
    const request = await storeDeploy(database.sql, ONE);
    await acceptRequest(database.sql, request);
    const first = await returnedIds(database.sql, request);
    assert.deepEqual(await acceptRequest(database.sql, request), { accepted: true });
    assert.deepEqual(await returnedIds(database.sql, request), first);
    assert.equal(await count('decky_lifecycle'), 1);
  });

  // proof: gap-b1
  it('of many requests for one decky at the same moment exactly one is accepted (gaps B1, B2)', async () => {
    const requests = await Promise.all(Array.from({ length: 6 }, () => storeDeploy(database.sql, ONE)));
    const outcomes = await Promise.all(requests.map((id) => acceptRequest(database.sql, id)));
    assert.equal(outcomes.filter((one) => one.accepted).length, 1);
    for (const one of outcomes) if (!one.accepted) assert.equal(one.code, 'DeckyBusy');
    assert.equal(await count('decky_lifecycle'), 1);
    assert.equal(await count('host_tickets'), 1);
  });

  it('requests for different deckies at the same moment get different addresses', async () => {
    const requests = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => storeDeploy(database.sql, `[${name}]\nservices=ssh\n`)),
    );
    await Promise.all(requests.map((id) => acceptRequest(database.sql, id)));
    const { deckies } = await createFleetReader(database.sql).overview();
    assert.equal(new Set(deckies.map((one) => one.ip)).size, 4);
  });

  // proof: promise-1
  it('a withdrawn request is never accepted, and an accepted one never withdrawn', async () => {
    const withdrawn = await storeDeploy(database.sql, ONE);
    assert.equal(await closeRequest(database.sql, withdrawn, 'withdrawn', null), 'withdrawn');
    const late = await acceptRequest(database.sql, withdrawn);
    assert.equal(late.accepted ? '' : late.code, 'Withdrawn');
    assert.equal(await count('fleet_deckies'), 0);
    const accepted = await storeDeploy(database.sql, ONE);
    await acceptRequest(database.sql, accepted);
    assert.equal(await closeRequest(database.sql, accepted, 'withdrawn', null), 'accepted');
  });

  it('a refusal changes nothing and says the same when asked again', async () => {
    const request = await storeDeploy(database.sql, '[a]\nservices=teleport\n');
    const first = await acceptRequest(database.sql, request);
    assert.equal(first.accepted ? '' : first.code, 'InvalidDecky');
    assert.deepEqual(await acceptRequest(database.sql, request), first);
    for (const table of ['fleet_deckies', 'decky_lifecycle', 'host_tickets', 'settings'])
      assert.equal(await count(table), 0, table);
  });

  it('an Idempotency-Key belongs to one body, and is free again after a withdrawal', async () => {
    const store = (id: string, body_hash: string) =>
      storeRequest(database.sql, {
        id,
        kind: 'deploy',
        workflowId: `deploy/${id}`,
        username: 'admin',
        request: { ini_content: ONE, replace_fleet: false },
        options: ROLLOUT_DEFAULTS,
        network: TEST_NETWORK,
        idempotency: { route: 'deploy', key: 'k', body_hash },
      });
    assert.deepEqual(await store('one', 'h1'), { id: 'one', repeated: false });
    assert.deepEqual(await store('two', 'h1'), { id: 'one', repeated: true });
    await assert.rejects(store('three', 'h2'), /used with another body/);
    await closeRequest(database.sql, 'one', 'withdrawn', null);
    assert.deepEqual(await store('four', 'h2'), { id: 'four', repeated: false });
  });

  it('replacing keeps what stays, lists what goes, and removals stand first', async () => {
    const first = await storeDeploy(database.sql, '[a]\nservices=ssh\n[b]\nservices=ssh\n');
    await acceptRequest(database.sql, first);
    await succeed(first);
    const second = await storeDeploy(database.sql, '[b]\nservices=ssh\n[c]\nservices=ssh\n', true);
    await acceptRequest(database.sql, second);
    const { lifecycle_ids, removed_lifecycle_ids } = await returnedIds(database.sql, second);
    assert.deepEqual([lifecycle_ids.length, removed_lifecycle_ids.length], [2, 1]);
    const order = await database.sql<{ decky_name: string; operation: string }[]>`
      select decky_name, operation from decky_lifecycle where deployment_id = ${second} order by position`;
    assert.deepEqual(
      order.map((one) => `${one.operation} ${one.decky_name}`),
      ['teardown a', 'deploy b', 'deploy c'],
    );
    await succeed(second);
    assert.deepEqual(
      (await createFleetReader(database.sql).deckies()).map((one) => one.name),
      ['b', 'c'],
    );
  });

  // proof: promise-6
  it('tickets of a host run in the order of acceptance (promise 6)', async () => {
    const first = await storeDeploy(database.sql, ONE);
    await acceptRequest(database.sql, first);
    await succeed(first);
    const teardown = await storeTeardown(database.sql, 'a');
    await acceptRequest(database.sql, teardown);
    assert.equal((await currentTicket(database.sql, LOCAL_HOST))?.operationId, first);
    assert.equal((await closeTicket(database.sql, LOCAL_HOST, first))?.operationId, teardown);
    assert.equal(await closeTicket(database.sql, LOCAL_HOST, teardown), null);
  });

  it('a decky that is being torn down is busy', async () => {
    const first = await storeDeploy(database.sql, ONE);
    await acceptRequest(database.sql, first);
    await succeed(first);
    await acceptRequest(database.sql, await storeTeardown(database.sql, 'a'));
    const again = await acceptRequest(database.sql, await storeTeardown(database.sql, 'a'));
    assert.equal(again.accepted ? '' : again.code, 'DeckyBusy');
  });
});
