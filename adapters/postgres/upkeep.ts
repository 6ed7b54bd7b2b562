/** What PostgreSQL says of the whole installation, for metrics: counts and ages, never a name. */
import type { Sql } from './connect.ts';
import { DRIFTERS, DRIFTING, SILENT } from './drift.ts';

export interface Figures {
  readonly openRows: readonly { readonly operation: string; readonly status: string; readonly count: number }[];
  /** Zero where none is open. */
  readonly oldestOpenRowSeconds: number;
  readonly openTickets: number;
  readonly unsentEvents: number;
  /** Zero where all is sent. */
  readonly oldestUnsentSeconds: number;
  readonly hosts: readonly { readonly status: string; readonly count: number }[];
  readonly deckies: readonly { readonly state: string; readonly count: number }[];
  readonly drift: readonly { readonly reason: string; readonly count: number }[];
  /** Deckies of which nothing is known, since their engine is silent. */
  readonly unknownDeckies: number;
  /** Epoch seconds; null without hosts. */
  readonly firstCertificateEnd: number | null;
  /** Rows are PostgreSQL's own estimate: counting a large table costs too much for a scrape. */
  readonly tables: readonly { readonly table: string; readonly rows: number; readonly bytes: number }[];
}

export async function readFigures(sql: Sql): Promise<Figures> {
  const [openRows, [ages], hosts, deckies, drift, [unknown], tables] = await Promise.all([
    sql<
      Figures['openRows']
    >`select operation, status, count(*)::int as count from decky_lifecycle where status in ('pending', 'running') group by 1, 2`,
    sql<{ row_age: number; tickets: number; unsent: number; event_age: number; certificate: number | null }[]>`select
      (select coalesce(extract(epoch from now() - min(started_at)), 0)::float8 from decky_lifecycle where status in ('pending', 'running')) as row_age,
      (select count(*)::int from host_tickets where closed_at is null) as tickets,
      (select count(*)::int from outbox where sent_at is null) as unsent,
      (select coalesce(extract(epoch from now()) - min(ts), 0)::float8 from outbox where sent_at is null) as event_age,
      (select extract(epoch from min(cert_not_after))::float8 from swarm_hosts) as certificate`,
    sql<Figures['hosts']>`select status, count(*)::int as count from swarm_hosts group by 1`,
    sql<Figures['deckies']>`
      select case when f.state = 'running' and d.is_down then 'degraded' else f.state end as state, count(*)::int as count
      from fleet_deckies f left join (${DRIFTERS(sql)}) d on d.decky_name = f.name and d.host_key = f.host_uuid group by 1`,
    sql<Figures['drift']>`select x.reason, count(*)::int as count from (${DRIFTING(sql)}) x group by 1`,
    sql<{ count: number }[]>`select count(*)::int as count from fleet_deckies f
      where f.host_uuid in (select s.host_key from (${SILENT(sql)}) s)`,
    sql<
      Figures['tables']
    >`select relname as table, n_live_tup::float8 as rows, pg_total_relation_size(relid)::float8 as bytes
      from pg_stat_user_tables where schemaname = current_schema()`,
  ]);
  return {
    openRows,
    oldestOpenRowSeconds: Math.max(0, ages?.row_age ?? 0),
    openTickets: ages?.tickets ?? 0,
    unsentEvents: ages?.unsent ?? 0,
    oldestUnsentSeconds: Math.max(0, ages?.event_age ?? 0),
    hosts,
    deckies,
    drift,
    unknownDeckies: unknown?.count ?? 0,
    firstCertificateEnd: ages?.certificate ?? null,
    tables,
  };
}

/** What PostgreSQL keeps, and how long. What is open, and the fleet, stays for ever. */

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
