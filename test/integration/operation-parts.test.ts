/** What a very large operation is given of its hosts, and how what they have open is ended together. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { currentTicket } from '../../adapters/postgres/tickets.ts';
import { shardWorkflowId } from '../../fleet/housekeeping.ts';
import { LIMITS, weightOf } from '../../fleet/limits.ts';
import { createOperationStore } from '../../operations/store.ts';
import { storeDeploy, storeMove } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

const SIX = '[d]\nservices=ssh\namount=6\n';

describe('the hosts of an accepted operation', () => {
  let database: TestDatabase;
  let hosts: string[];
  beforeEach(async () => {
    database = await createTestDatabase();
    hosts = [await enroll('h1'), await enroll('h2'), await enroll('h3')];
  });
  afterEach(() => database.drop());

  async function enroll(name: string): Promise<string> {
    const uuid = randomUUID();
    const at = { address: '192.0.2.1', agentPort: 8765, notes: null, useIpvlan: false, fenced: true };
    await createHostStore(database.sql).enroll({ uuid, name, ...at, fingerprint: name, certNotAfter: new Date() });
    return uuid;
  }
  async function accepted(operationId: string, hostsPerGroup?: number) {
    const acceptance = await createOperationStore(database.sql).accept(operationId, hostsPerGroup);
    assert.ok(acceptance.accepted);
    return acceptance;
  }

  // proof: field-1.4-8
  it('are its parts where they are few, and uuids alone where they are many', async () => {
    const id = await storeDeploy(database.sql, SIX);
    const few = await accepted(id);
    assert.equal(few.hostUuids, undefined);
    const many = await accepted(id, 2);
    assert.deepEqual(many.parts, []);
    assert.deepEqual(
      many.hostUuids,
      few.parts.map((part) => part.hostUuid),
    );
    const store = createOperationStore(database.sql);
    const [first, ...rest] = many.hostUuids ?? [];
    assert.deepEqual(await store.hostParts(id, [first ?? '']), few.parts.slice(0, 1));
    assert.deepEqual(await store.hostParts(id, rest), few.parts.slice(1));
  });

  // proof: field-1.4-8
  it('fit into one payload of Temporal’s, for as many as a request may have', () => {
    const hostUuids = Array.from({ length: LIMITS.deploymentLimitMax }, () => randomUUID());
    const names = hostUuids.map(() => 'n'.repeat(63));
    assert.ok(weightOf({ parts: [], hostUuids, leaving: { names } }) < 2 * 1024 * 1024);
  });

  it('of a move are named together with the deckies that leave', async () => {
    const store = createOperationStore(database.sql);
    const id = await storeDeploy(database.sql, SIX);
    const { parts } = await accepted(id);
    const rows = (await Promise.all(parts.map(({ workflowId }) => store.openRows(workflowId)))).flat();
    await store.record(rows.map((row) => ({ ...row, status: 'running' as const })));
    await store.record(rows.map((row) => ({ ...row, status: 'succeeded' as const })));
    await store.endHosts({ operationId: id, hostUuids: hosts, error: 'unused' });
    const [leaving] = hosts;
    const move = await accepted(await storeMove(database.sql, leaving ?? ''), 1);
    const own = parts.find((part) => part.hostUuid === leaving)?.names ?? [];
    assert.deepEqual([...(move.leaving?.names ?? [])].sort(), [...own].sort());
  });

  // proof: field-1.4-7
  it('end what is open as failed and hand their lanes on, once, also when it is tried again', async () => {
    const { sql } = database;
    const store = createOperationStore(sql);
    const id = await storeDeploy(sql, SIX);
    await accepted(id);
    const next = await storeDeploy(sql, '[e]\nservices=ssh\namount=3\n');
    await accepted(next);
    const [h1, h2, h3] = hosts as [string, string, string];
    const [begun] = await store.openRows(shardWorkflowId(id, h1));
    assert.ok(begun);
    await store.record([{ ...begun, status: 'running' }]);
    await store.record([{ ...begun, status: 'succeeded' }]);
    const end = { operationId: id, hostUuids: [h1, h2], error: 'Cancelled: by a test.' };
    for (const _ of ['first', 'again']) {
      const ended = await store.endHosts(end);
      assert.deepEqual([ended.succeeded, ended.failed], [1, 3]);
      assert.deepEqual(new Set(ended.next.map((ticket) => ticket.operationId)), new Set([next]));
      assert.deepEqual(new Set(ended.next.map((ticket) => ticket.hostUuid)), new Set([h1, h2]));
    }
    const errors =
      await sql`select distinct error from decky_lifecycle where deployment_id = ${id} and status = 'failed'`;
    assert.deepEqual(
      [...errors].map((row) => row.error),
      [end.error],
    );
    assert.equal((await store.openRows(shardWorkflowId(id, h3))).length, 2, 'another host is left alone');
    assert.equal((await currentTicket(sql, h3))?.operationId, id);
  });
});
