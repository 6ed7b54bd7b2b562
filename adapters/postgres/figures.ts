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
