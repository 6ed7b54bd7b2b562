import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { closeRequest } from '../../adapters/postgres/deployments.ts';
import { closeTicket, openTicket } from '../../adapters/postgres/tickets.ts';
import { createPrunables } from '../../adapters/postgres/upkeep.ts';
import { LOCAL_HOST } from '../../fleet/lifecycle.ts';
import { acceptRequest } from '../../operations/acceptance.ts';
import { storeDeploy } from '../support/master/requests.ts';
import { createTestDatabase, type TestDatabase } from '../support/servers/database.ts';

describe('the prune of PostgreSQL', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  /** Prunes a table until nothing is left to go. */
  async function prune(table: string, batch = 1_000): Promise<number> {
    const prunable = createPrunables(database.sql).find((one) => one.table === table);
    assert.ok(prunable, `${table} is pruned`);
    let removed = 0;
    for (;;) {
      const count = await prunable.remove(batch);
      removed += count;
      if (count === 0) return removed;
    }
  }

  const idsOf = async (table: string): Promise<string[]> =>
    (await database.sql<{ id: string }[]>`select id from ${database.sql(table)} order by id`).map((row) => row.id);

  /** A deploy whose only row has ended, so many days ago. */
  async function endedDeploy(decky: string, days: number): Promise<string> {
    const { sql } = database;
    const id = await storeDeploy(sql, `[${decky}]\nservices=ssh\n`);
    assert.deepEqual(await acceptRequest(sql, id), { accepted: true });
    await sql`update decky_lifecycle set status = 'running' where deployment_id = ${id}`;
    await sql`update decky_lifecycle set status = 'succeeded' where deployment_id = ${id}`;
    await closeTicket(sql, LOCAL_HOST, id);
    await sql`update deployments set ended_at = now() - make_interval(days => ${days}), outcome = 'succeeded' where id = ${id}`;
    return id;
  }

  // proof: pruned
  it('lets requests and their rows go after 90 days, a few at a time, and never the fleet', async () => {
    const old = [await endedDeploy('a', 91), await endedDeploy('b', 300), await endedDeploy('c', 91)];
    const kept = await endedDeploy('d', 89);
    assert.equal(await prune('deployments', 2), old.length);
    assert.deepEqual(await idsOf('deployments'), [kept]);
    const rows = await database.sql`select decky_name from decky_lifecycle`;
    assert.deepEqual(
      rows.map((row) => row.decky_name),
      ['d'],
    );
    assert.equal((await database.sql`select from fleet_deckies`).length, 4);
  });

  it('forgets after 90 days what a host reported and the fleet does not have', async () => {
    const { sql } = database;
    await endedDeploy('in-fleet', 1);
    await sql`insert into swarm_hosts (uuid, name, address, client_cert_fingerprint) values ('h', 'h1', '192.0.2.1', 'f')`;
    for (const [name, state, days] of [
      ['old', 'torn_down', 91],
      ['young', 'torn_down', 89],
      ['up', 'running', 91],
      ['in-fleet', 'torn_down', 91],
    ] as const)
      await sql`insert into decky_shards (host_uuid, decky_name, services, state, updated_at)
        values ('h', ${name}, '[]', ${state}, now() - make_interval(days => ${days}))`;
    assert.equal(await prune('decky_shards'), 1);
    const left = await sql`select decky_name from decky_shards order by decky_name`;
    assert.deepEqual(
      left.map((row) => row.decky_name),
      ['in-fleet', 'up', 'young'],
    );
  });

  // proof: pruned
  it('never touches a deployment that has not ended, however old, nor one with an open row or an open ticket', async () => {
    const { sql } = database;
    const open = await storeDeploy(sql, '[a]\nservices=ssh\n');
    await acceptRequest(sql, open);
    const received = await storeDeploy(sql, '[b]\nservices=ssh\n');
    await sql`update deployments set received_at = now() - interval '400 days'`;
    assert.equal(await prune('deployments'), 0);
    // What should not be: marked as ended with a row, or a ticket, that is open.
    await sql`update deployments set ended_at = now() - interval '400 days' where id = ${open}`;
    assert.equal(await prune('deployments'), 0);
    await sql`update decky_lifecycle set status = 'failed' where deployment_id = ${open}`;
    assert.equal(await prune('deployments'), 0);
    await closeTicket(sql, LOCAL_HOST, open);
    assert.equal(await prune('deployments'), 1);
    assert.deepEqual(await idsOf('deployments'), [received]);
  });

  it('lets refused and withdrawn requests go as well', async () => {
    const { sql } = database;
    const id = await storeDeploy(sql, '[a]\nservices=ssh\n');
    await closeRequest(sql, id, 'withdrawn', null);
    assert.equal(await prune('deployments'), 0);
    await sql`update deployments set ended_at = now() - interval '91 days'`;
    assert.equal(await prune('deployments'), 1);
  });

  it('keeps the newest ticket of each host, so that numbers go on where they were', async () => {
    const { sql } = database;
    for (const hostUuid of ['h1', 'h2'])
      for (let count = 0; count < 3; count += 1) {
        const operationId = randomUUID();
        await openTicket(sql, { hostUuid, operationId, workflowId: `w/${operationId}` });
        await closeTicket(sql, hostUuid, operationId);
      }
    await sql`update host_tickets set closed_at = null where host_uuid = 'h2' and number = 1`;
    await sql`update host_tickets set closed_at = closed_at - interval '91 days'`;
    assert.equal(await prune('host_tickets', 2), 3);
    const left = await sql`select host_uuid || '/' || number as ticket from host_tickets order by 1`;
    assert.deepEqual(
      left.map((row) => row.ticket),
      ['h1/3', 'h2/1', 'h2/3'],
    );
    assert.equal(await openTicket(sql, { hostUuid: 'h1', operationId: 'next', workflowId: 'w/next' }), 4);
  });

  it('lets skips of the rotation go after 90 days', async () => {
    const { sql } = database;
    for (const days of [91, 89])
      await sql`insert into rotation_skips (id, decky_name, reason, skipped_at)
        values (${`s${days}`}, 'a', 'busy', now() - make_interval(days => ${days}))`;
    assert.equal(await prune('rotation_skips'), 1);
    assert.deepEqual(await idsOf('rotation_skips'), ['s89']);
  });

  it('lets events go a day after they were sent, and keeps what was not sent for ever', async () => {
    const { sql } = database;
    for (const [id, age] of [
      ['old', '25 hours'],
      ['young', '23 hours'],
    ] as const)
      await sql`insert into outbox (message_id, decky_name, type, payload, sent_at) values (${id}, 'a', 'lifecycle', '{}', now() - ${age}::interval)`;
    await sql`insert into outbox (message_id, decky_name, type, payload, ts) values ('unsent', 'a', 'lifecycle', '{}', 0)`;
    assert.equal(await prune('outbox'), 1);
    const left = await sql`select message_id from outbox order by id`;
    assert.deepEqual(
      left.map((row) => row.message_id),
      ['young', 'unsent'],
    );
  });

  it('frees the keys of requests after a day', async () => {
    const { sql } = database;
    const id = await storeDeploy(sql, '[a]\nservices=ssh\n');
    for (const [key, age] of [
      ['old', '25 hours'],
      ['young', '23 hours'],
    ] as const)
      await sql`insert into idempotency_keys (username, route, key, body_hash, deployment_id, created_at)
        values ('admin', 'deploy', ${key}, 'hash', ${id}, now() - ${age}::interval)`;
    assert.equal(await prune('idempotency_keys'), 1);
    assert.deepEqual((await sql`select key from idempotency_keys`)[0], { key: 'young' });
  });

  it('forgets tokens, tickets and revoked certificates a day after they stopped counting, never those without an end', async () => {
    const { sql } = database;
    await sql`insert into users (uuid, username, password_hash, role) values ('u', 'u', 'x', 'viewer')`;
    for (const [id, when] of [
      ['gone', '-2 days'],
      ['just', '-1 hour'],
      ['live', '1 hour'],
    ] as const) {
      await sql`insert into revoked_tokens (jti, expires_at) values (${id}, now() + ${when}::interval)`;
      await sql`insert into sse_tickets (ticket_hash, user_uuid, expires_at) values (${id}, 'u', now() + ${when}::interval)`;
      await sql`insert into revoked_certificates (fingerprint, host_name, expires_at) values (${id}, 'h', now() + ${when}::interval)`;
      await sql`insert into enrollment_tokens (token_hash, host_uuid, name, address, expires_at) values (${id}, 'h', 'h', 'h', now() + ${when}::interval)`;
    }
    await sql`insert into swarm_hosts (uuid, name, address, agent_port, client_cert_fingerprint) values ('h', 'h', '', 8765, 'f')`;
    await sql`insert into enrollment_bundles (token_hash, host_uuid, master_host, agent_name, with_updater, use_ipvlan, expires_at)
      values ('gone', 'h', 'm', 'h', false, false, now() - interval '2 days'), ('live', 'h', 'm', 'h', false, false, now() + interval '1 hour')`;
    await sql`insert into revoked_certificates (fingerprint, host_name) values ('for ever', 'h')`;
    for (const table of [
      'revoked_tokens',
      'sse_tickets',
      'enrollment_tokens',
      'enrollment_bundles',
      'revoked_certificates',
    ])
      assert.equal(await prune(table), 1, table);
    const left = await sql`select fingerprint from revoked_certificates order by 1`;
    assert.deepEqual(
      left.map((row) => row.fingerprint),
      ['for ever', 'just', 'live'],
    );
  });
});
