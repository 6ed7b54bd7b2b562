/** What PostgreSQL keeps, and how long. What is open, and the fleet, stays for ever. */
import type { Sql } from './connect.ts';

/** Requests, their rows and the lanes' tickets. Changing it changes docs/observability.md too. */
export const RECORD_DAYS = 90;
/** Events that the bus has taken, and keys that a client may repeat a request under. */
export const SHORT_HOURS = 24;
/** Credentials are remembered this much longer than they count, for clocks that differ. */
const EXPIRED_DAYS = 1;

export interface Prunable {
  /** The table whose rows go. */
  readonly table: string;
  /** Rows of one transaction; a deployment takes its rows along. */
  readonly batch: number;
  /** Removes at most so many of what is old enough, the oldest first, and says how many went. */
  readonly remove: (limit: number) => Promise<number>;
}

const BATCH = 1_000;
/** A deployment may have thousands of rows, which go in its transaction. */
const DEPLOYMENT_BATCH = 20;

/** In the order in which they are pruned. */
export function createPrunables(sql: Sql): readonly Prunable[] {
  return [...records(sql), ...shortLived(sql), ...credentials(sql)];
}

function records(sql: Sql): Prunable[] {
  const old = sql`now() - make_interval(days => ${RECORD_DAYS})`;
  return [
    {
      table: 'deployments',
      batch: DEPLOYMENT_BATCH,
      remove: async (limit) => {
        const gone = await sql`delete from deployments where id in (
          select id from deployments d where ended_at < ${old}
            and not exists (select from decky_lifecycle l where l.deployment_id = d.id and l.status in ('pending', 'running'))
            and not exists (select from host_tickets t where t.operation_id = d.id and t.closed_at is null)
          order by received_at limit ${limit})`;
        return gone.count;
      },
    },
    {
      table: 'host_tickets',
      batch: BATCH,
      // The next number is the highest one plus one: a host's newest ticket stays.
      remove: async (limit) => {
        const gone = await sql`delete from host_tickets where (host_uuid, number) in (
          select host_uuid, number from host_tickets t where closed_at < ${old}
            and number < (select max(number) from host_tickets newest where newest.host_uuid = t.host_uuid)
          order by host_uuid, number limit ${limit})`;
        return gone.count;
      },
    },
    {
      table: 'audit',
      batch: BATCH,
      remove: async (limit) => {
        const gone = await sql`delete from audit where id in (
          select id from audit where at < ${old} order by id limit ${limit})`;
        return gone.count;
      },
    },
    {
      table: 'decky_shards',
      batch: BATCH,
      // What a host reported once and the fleet does not have.
      remove: async (limit) => {
        const gone = await sql`delete from decky_shards where (host_uuid, decky_name) in (
          select host_uuid, decky_name from decky_shards s where state = 'torn_down' and updated_at < ${old}
            and not exists (select from fleet_deckies f where f.name = s.decky_name)
          order by updated_at limit ${limit})`;
        return gone.count;
      },
    },
    {
      table: 'rotation_skips',
      batch: BATCH,
      remove: async (limit) => {
        const gone = await sql`delete from rotation_skips where id in (
          select id from rotation_skips where skipped_at < ${old} order by skipped_at limit ${limit})`;
        return gone.count;
      },
    },
  ];
}

function shortLived(sql: Sql): Prunable[] {
  const old = sql`now() - make_interval(hours => ${SHORT_HOURS})`;
  return [
    {
      table: 'outbox',
      batch: BATCH,
      remove: async (limit) => {
        const gone = await sql`delete from outbox where id in (
          select id from outbox where sent_at < ${old} order by id limit ${limit})`;
        return gone.count;
      },
    },
    {
      table: 'idempotency_keys',
      batch: BATCH,
      remove: async (limit) => {
        const gone = await sql`delete from idempotency_keys where (username, route, key) in (
          select username, route, key from idempotency_keys where created_at < ${old} order by created_at limit ${limit})`;
        return gone.count;
      },
    },
  ];
}

/** Each with a key of one column and the time after which it counts no more. */
const CREDENTIALS = [
  { table: 'revoked_tokens', key: 'jti' },
  { table: 'sse_tickets', key: 'ticket_hash' },
  { table: 'enrollment_tokens', key: 'token_hash' },
  { table: 'enrollment_bundles', key: 'token_hash' },
  { table: 'revoked_certificates', key: 'fingerprint' },
] as const;

const credentials = (sql: Sql): Prunable[] =>
  CREDENTIALS.map(({ table, key }) => ({
    table,
    batch: BATCH,
    remove: async (limit) => {
      const gone = await sql`delete from ${sql(table)} where ${sql(key)} in (
        select ${sql(key)} from ${sql(table)} where expires_at < now() - make_interval(days => ${EXPIRED_DAYS})
        order by expires_at limit ${limit})`;
      return gone.count;
    },
  }));
