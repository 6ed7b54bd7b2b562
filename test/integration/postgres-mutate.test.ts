import assert from 'node:assert/strict';
import { createRotationStore, createRotations } from '../../adapters/postgres/clock-requests.ts';
import { loadRequest, returnedIds } from '../../adapters/postgres/deployments.ts';
import { createFleetReader } from '../../adapters/postgres/fleet.ts';
import { createLifecycleReader, recordTransitions } from '../../adapters/postgres/rows.ts';
import { createSettings } from '../../adapters/postgres/settings.ts';
import { currentTicket } from '../../adapters/postgres/tickets.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { storeDeploy, storeMutate } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

describe('mutations in PostgreSQL', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
    await deploy('[a]\nservices=ssh\n[b]\nservices=http\n');
  });
  afterEach(() => database.drop());

  async function deploy(ini: string, status: 'succeeded' | 'failed' = 'succeeded', replace = false): Promise<void> {
    const id = await storeDeploy(database.sql, ini, replace);
    assert.deepEqual(await acceptRequest(database.sql, id), { accepted: true });
    const { lifecycle_ids, removed_lifecycle_ids } = await returnedIds(database.sql, id);
    await end([...removed_lifecycle_ids, ...lifecycle_ids], status);
  }
  async function end(ids: readonly string[], status: 'succeeded' | 'failed'): Promise<void> {
    const rows = (await createLifecycleReader(database.sql).byIds(ids)).map((row) => ({
      lifecycleId: row.id,
      deckyName: row.decky_name,
    }));
    const error = status === 'failed' ? { error: 'ContainerExited: made to fail' } : {};
    await recordTransitions(
      database.sql,
      rows.map((row) => ({ ...row, status: 'running' as const })),
    );
    await recordTransitions(
      database.sql,
      rows.map((row) => ({ ...row, status, ...error })),
    );
  }
  const config = async (name: string) =>
    (await createFleetReader(database.sql).deckies()).find((one) => one.name === name);
  const mutations = async () => [
    ...(await database.sql<{ message_id: string; payload: Record<string, unknown> }[]>`
    select message_id, payload from outbox where type = 'mutation' order by id`),
  ];

  it('have a row, a ticket and the new services at once; the same request again changes nothing', async () => {
    const id = await storeMutate(database.sql, 'a', ['http', 'ftp']);
    for (const _ of [1, 2]) assert.deepEqual(await acceptRequest(database.sql, id), { accepted: true });
    const [row] = await createLifecycleReader(database.sql).byIds([id]);
    assert.deepEqual([row?.operation, row?.status, row?.decky_name], ['mutate', 'pending', 'a']);
    assert.deepEqual((await returnedIds(database.sql, id)).lifecycle_ids, [id]);
    const decky = await config('a');
    assert.deepEqual(decky?.services, ['http', 'ftp']);
    assert.ok(Math.abs((decky?.last_mutated ?? 0) - Date.now() / 1_000) < 60);
    await database.sql`update host_tickets set closed_at = now() where operation_id <> ${id}`;
    assert.equal((await currentTicket(database.sql, 'local'))?.workflowId, `mutate/${id}`);
  });

  // proof: gap-c10
  it('tell the bus old and new services and who wanted it, once the row has succeeded (gap C12)', async () => {
    const byHand = await storeMutate(database.sql, 'a', ['http']);
    await acceptRequest(database.sql, byHand);
    assert.deepEqual(await mutations(), []);
    await end([byHand], 'succeeded');
    const byClock = await storeMutate(database.sql, 'a', ['ftp'], 'scheduled');
    await acceptRequest(database.sql, byClock);
    await end([byClock], 'succeeded');
    const common = { decky: 'a' };
    assert.deepEqual(await mutations(), [
      {
        message_id: `${byHand}:mutation`,
        payload: { ...common, old_services: ['ssh'], new_services: ['http'], trigger: 'operator', actor: 'admin' },
      },
      {
        message_id: `${byClock}:mutation`,
        payload: { ...common, old_services: ['http'], new_services: ['ftp'], trigger: 'scheduled' },
      },
    ]);
  });

  // proof: gap-b4
  it('that fail bring back what was before, and tell no mutation (gap B6)', async () => {
    const before = await config('a');
    const id = await storeMutate(database.sql, 'a');
    await acceptRequest(database.sql, id);
    assert.notDeepEqual((await config('a'))?.services, ['ssh']);
    await end([id], 'failed');
    assert.deepEqual(await config('a'), before);
    assert.deepEqual(await mutations(), []);
  });

  // proof: gap-b4
  it('and intervals outlast a later additive deploy, and a mutation that fails (gap B4)', async () => {
    const id = await storeMutate(database.sql, 'a', ['http']);
    await acceptRequest(database.sql, id);
    await end([id], 'succeeded');
    await createRotations(database.sql).setDeckyInterval('a', 5);
    const before = await config('a');
    await deploy('[c]\nservices=redis\n');
    assert.deepEqual(await config('a'), before);
    const failing = await storeMutate(database.sql, 'a', ['ftp']);
    await acceptRequest(database.sql, failing);
    await end([failing], 'failed');
    const after = await config('a');
    assert.deepEqual([after?.services, after?.mutate_interval], [['http'], 5]);
  });

  it('a decky that was switched off stays off, unless a later file gives it an interval', async () => {
    const isOff = async (): Promise<boolean | undefined> =>
      (await database.sql<{ off: boolean }[]>`select rotation_off as off from fleet_deckies where name = 'a'`)[0]?.off;
    await createRotations(database.sql).setDeckyInterval('a', null);
    await deploy('[a]\nservices=ssh\n', 'succeeded', true);
    assert.equal(await isOff(), true);
    await deploy('[a]\nservices=ssh\nmutate_interval=15\n', 'succeeded', true);
    assert.equal(await isOff(), false);
    const { own, inherited } = await createRotationStore(database.sql).plan();
    assert.deepEqual([own, inherited], [[{ deckyName: 'a', minutes: 15 }], null]);
  });

  it('of those that inherit are planned by [general] where the file says so, else by the global setting (gap C14)', async () => {
    const plan = () => createRotationStore(database.sql).plan();
    assert.deepEqual(await plan(), { own: [], inherited: 30 });
    await createSettings(database.sql).setGlobalMutationInterval('2d');
    await deploy('[general]\nmutate_interval=20\n[c]\nservices=ssh\n');
    assert.deepEqual(await plan(), { own: [{ deckyName: 'c', minutes: 20 }], inherited: 2_880 });
  });

  it('are refused for a decky that is unknown, busy, never came up, or is to have an unknown service', async () => {
    await deploy('[sick]\nservices=ssh\n', 'failed');
    const refusal = async (name: string, services: string[] | null = null) => {
      const outcome = await acceptRequest(database.sql, await storeMutate(database.sql, name, services));
      return outcome.accepted ? 'accepted' : `${outcome.code}: ${outcome.detail}`;
    };
    assert.equal(await refusal('nobody'), 'NotFound: Decky nobody not found');
    assert.match(await refusal('sick'), /^InvalidDecky: .*never came up/);
    assert.match(await refusal('b', ['nonsense']), /^InvalidDecky: Unknown service\(s\) for decky b: .*nonsense/);
    assert.equal(await refusal('b'), 'accepted');
    assert.match(await refusal('b'), /^DeckyBusy: decky 'b' has an open mutate/);
    await database.sql`delete from fleet_deckies`;
    assert.equal(await refusal('b'), 'NotFound: No active deployment');
  });

  it('warn of two services on one port when the caller names them (gap C11)', async () => {
    const id = await storeMutate(database.sql, 'a', ['http', 'https']);
    await acceptRequest(database.sql, id);
    assert.match((await loadRequest(database.sql, id))?.warnings.join() ?? '', /both listen on port/);
  });
});
