/** Drift as it was last seen, engines that gave no answer, and what can be mended (docs/convergence.md). */
import type { DeckyConfig, DesiredDecky } from '../../fleet/config.ts';
import {
  type Comparison,
  DRIFT,
  type Drift,
  type DriftReason,
  NOT_UP,
  ORPHAN_DETAIL,
  type WantedDecky,
} from '../../fleet/drift.ts';
import { LOCAL_HOST } from '../../fleet/lifecycle.ts';
import { RECONCILE_USER, type ReconcileRequest } from '../../fleet/requests.ts';
import { type Queryable, reachable, type Sql } from './connect.ts';
import { pendingCleanUps } from './pending-work.ts';

export interface DriftView {
  readonly decky_name: string;
  /** null: the master's own engine. */
  readonly host_uuid: string | null;
  readonly host_name: string | null;
  readonly reason: DriftReason;
  readonly detail: string;
  readonly since: string;
}

export interface UnknownView {
  readonly host_uuid: string | null;
  readonly host_name: string | null;
  readonly why: string;
  /** null: nothing was ever heard of it. */
  readonly since: string | null;
  readonly deckies: number;
}

export interface DriftFilter {
  readonly decky?: string | undefined;
  /** A host's uuid or name, or `local`. */
  readonly host?: string | undefined;
}

export interface DriftReader {
  drift(filter: DriftFilter): Promise<DriftView[]>;
  unknown(filter: DriftFilter): Promise<UnknownView[]>;
  /** The deckies that a reconcile would work on now. */
  mendable(request: ReconcileRequest): Promise<Mendable[]>;
  /** The key of a host: its uuid, or `local`; null where there is none of that uuid or name. */
  hostKey(host: string): Promise<string | null>;
}

export interface Mendable {
  readonly decky_name: string;
  readonly host_key: string;
  readonly orphan: boolean;
  readonly reasons: readonly DriftReason[];
}

/** A decky `f` that came up once on a host that was removed since. */
export const STRANDED = (sql: Queryable) => sql`(f.host_uuid <> ${LOCAL_HOST} and f.established is not null
  and not exists (select from swarm_hosts s where s.uuid = f.host_uuid))`;
const STRANDED_DETAIL = 'its host is not enrolled any more; the next deploy places it on another';

/**
 * What counts as drift now. An entry is out of date where a row of its decky is open, or ended after it was last seen; so is
 * one of a decky that left the fleet, or of a host that was removed.
 */
export const DRIFTING = (sql: Queryable) => sql`
  select d.host_uuid as host_key, h.name as host_name, d.decky_name, d.reason, d.detail, d.since, d.reason = 'orphan' as orphan
  from drift d left join swarm_hosts h on h.uuid = d.host_uuid
    left join fleet_deckies f on f.name = d.decky_name and f.host_uuid = d.host_uuid
  where (d.host_uuid = ${LOCAL_HOST} or h.uuid is not null) and (f.name is null or d.reason <> 'orphan' or not d.detail = ${ORPHAN_DETAIL})
    and (f.name is not null or d.reason = 'orphan')
    and not exists (select from decky_lifecycle l where l.decky_name = d.decky_name
      and (l.status in ('pending', 'running') or l.completed_at > d.seen_at))
  union all
  select f.host_uuid, null, f.name, ${DRIFT.missing}, ${STRANDED_DETAIL}, f.updated_at, false
  from fleet_deckies f where ${STRANDED(sql)} and not exists (
    select from decky_lifecycle l where l.decky_name = f.name and l.status in ('pending', 'running'))`;

/** Of each decky that drifts: its reasons, and whether one of them keeps it from being up. */
export const DRIFTERS = (sql: Queryable) => sql`
  select x.decky_name, x.host_key, jsonb_agg(distinct x.reason order by x.reason) as reasons,
    bool_or(x.reason = any(${[...NOT_UP]}::text[])) as is_down
  from (${DRIFTING(sql)}) x group by 1, 2`;

/** Engines of which nothing can be said now: silent ones, and hosts that gave no sign of life. */
export const SILENT = (sql: Queryable) => sql`
  select s.host_uuid as host_key, h.name as host_name, s.why, s.since
  from silent_engines s left join swarm_hosts h on h.uuid = s.host_uuid
  where (s.host_uuid = ${LOCAL_HOST} or h.uuid is not null) and h.status is distinct from 'unreachable'
  union all
  select h.uuid, h.name, 'the host gives no sign of life', h.last_heartbeat from swarm_hosts h where h.status = 'unreachable'`;

const matches = (sql: Queryable, { decky, host }: DriftFilter) => sql`
  (${decky ?? null}::text is null or x.decky_name = ${decky ?? null})
  and (${host ?? null}::text is null or x.host_key = ${host ?? null} or x.host_name = ${host ?? null})`;

export function createDriftReader(sql: Sql): DriftReader {
  return {
    drift: (filter) =>
      reachable(
        () => sql<DriftView[]>`
          select decky_name, nullif(host_key, ${LOCAL_HOST}) as host_uuid, host_name, reason, detail, iso(since) as since
          from (${DRIFTING(sql)}) x where ${matches(sql, filter)} order by decky_name, host_key, reason`,
      ),
    unknown: ({ decky, host }) =>
      reachable(
        () => sql<UnknownView[]>`
          select nullif(host_key, ${LOCAL_HOST}) as host_uuid, host_name, why, iso(since) as since, n.count as deckies
          from (select s.*, ''::text as decky_name from (${SILENT(sql)}) s) x
            cross join lateral (select count(*)::int as count from fleet_deckies f
              where f.host_uuid = x.host_key and (${decky ?? null}::text is null or f.name = ${decky ?? null})) n
          where ${matches(sql, { host })} and n.count > 0 order by host_key`,
      ),
    mendable: (request) => reachable(() => mendable(sql, request)),
    hostKey: (host) =>
      reachable(async () => {
        if (host === LOCAL_HOST) return LOCAL_HOST;
        const [row] = await sql<
          { uuid: string }[]
        >`select uuid from swarm_hosts where uuid = ${host} or name = ${host}`;
        return row?.uuid ?? null;
      }),
  };
}

/**
 * Deckies that drift on engines that answer. An orphan whose name the fleet has elsewhere is left out: its row would be the
 * other one's. It goes with the next order to its host all the same.
 */
export const mendable = (sql: Queryable, { deckies, host }: ReconcileRequest): Promise<Mendable[]> =>
  sql<Mendable[]>`
    select x.decky_name, x.host_key, bool_and(x.orphan and m.name is null) as orphan, array_agg(distinct x.reason order by x.reason) as reasons
    from (${DRIFTING(sql)}) x left join fleet_deckies m on m.name = x.decky_name
    where (${deckies === null}::boolean or x.decky_name = any(${[...(deckies ?? [])]}::text[]))
      and (${host}::text is null or x.host_key = ${host})
      and not exists (select from (${SILENT(sql)}) s where s.host_key = x.host_key)
      and (x.host_key = ${LOCAL_HOST} or x.host_name is not null)
      and (m.name is null or m.host_uuid = x.host_key)
    group by x.decky_name, x.host_key order by x.host_key, x.decky_name`;

export interface ConvergenceStore {
  /** The deckies of an engine, as they should be; `resolve` wants them whole. */
  wanted(hostKey: string): Promise<readonly (WantedDecky & { readonly desired: DesiredDecky })[]>;
  /** Keeps what a comparison found. `lookedAt`: the database's clock before the look; what ended since then is not judged. */
  keep(hostKey: string, comparison: Comparison, lookedAt: Date): Promise<void>;
  now(): Promise<Date>;
  /** Of what can be mended: deckies whose last try by the clock was, or how many there were, within a day. */
  tries(
    names: readonly string[],
  ): Promise<readonly { readonly name: string; readonly count: number; readonly ageMs: number }[]>;
  mendable(): Promise<Mendable[]>;
  /** Deckies of the master's own engine whose clean-up did not work. */
  pendingCleanUps(): Promise<string[]>;
}

export const createConvergenceStore = (sql: Sql): ConvergenceStore => ({
  wanted: (hostKey) => reachable(() => wanted(sql, hostKey)),
  keep: (hostKey, comparison, lookedAt) => reachable(() => keep(sql, hostKey, comparison, lookedAt)),
  pendingCleanUps: () => reachable(() => pendingCleanUps(sql)),
  now: () =>
    reachable(async () => {
      const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`;
      return row?.now ?? new Date();
    }),
  tries: (names) =>
    reachable(
      () => sql<{ name: string; count: number; ageMs: number }[]>`
        select l.decky_name as name, count(*)::int as count, (extract(epoch from now() - max(l.started_at)) * 1000)::float8 as "ageMs"
        from decky_lifecycle l join deployments d on d.id = l.deployment_id
        where l.decky_name = any(${[...names]}::text[]) and d.kind = 'reconcile' and d.username = ${RECONCILE_USER}
          and l.started_at > now() - interval '24 hours' group by 1`,
    ),
  mendable: () => reachable(() => mendable(sql, { deckies: null, host: null })),
});

type Wanted = WantedDecky & { readonly desired: DesiredDecky };

export async function wanted(sql: Queryable, hostKey: string): Promise<Wanted[]> {
  const rows = await sql<
    {
      name: string;
      stopped: boolean;
      settled: boolean;
      config: DeckyConfig;
      custom_services: DesiredDecky['custom_services'];
    }[]
  >`
    select f.name, f.stopped, f.decky_config as config, f.custom_services,
      f.established is not null and f.state not in ('tearing_down', 'teardown_failed') and not exists (
        select from decky_lifecycle l where l.decky_name = f.name and l.status in ('pending', 'running')) as settled
    from fleet_deckies f where f.host_uuid = ${hostKey} order by f.name`;
  return rows.map(({ custom_services, ...row }) => ({
    ...row,
    desired: { config: row.config, custom_services, ...(row.stopped ? { stopped: true } : {}) },
  }));
}

/** What is not drift any more goes, what is new comes: a trigger tells of both. Silence leaves all as it was last seen. */
export const keep = (sql: Sql, hostKey: string, comparison: Comparison, lookedAt: Date): Promise<void> =>
  sql.begin(async (tx) => {
    // Reports of one host may come at the same moment, and would wait for each other's rows.
    await tx`select pg_advisory_xact_lock(hashtext(current_schema() || '/drift/' || ${hostKey}))`;
    if (comparison.known) await keepDrift(tx, hostKey, comparison.drift, lookedAt);
    else
      await tx`insert into silent_engines (host_uuid, why) values (${hostKey}, ${comparison.why.slice(0, 500)})
        on conflict (host_uuid) do update set why = excluded.why where silent_engines.why <> excluded.why`;
  });

/** Of a host that was removed: nobody tells of it any more. */
const OF_NOBODY = (sql: Queryable) => sql`
  (d.host_uuid <> ${LOCAL_HOST} and not exists (select from swarm_hosts h where h.uuid = d.host_uuid))`;

async function keepDrift(tx: Queryable, hostKey: string, drift: readonly Drift[], lookedAt: Date): Promise<void> {
  const found = drift.map(({ decky, reason, detail }) => ({ decky, reason, detail }));
  await tx`
    with seen as materialized (
      select r.* from jsonb_to_recordset(${tx.json(found)}) as r (decky text, reason text, detail text)
      where not exists (select from decky_lifecycle l where l.decky_name = r.decky
        and (l.status in ('pending', 'running') or l.completed_at > ${lookedAt}))),
    heard as (delete from silent_engines where host_uuid = ${hostKey}),
    gone as (delete from drift d where d.host_uuid = ${hostKey}
      and not exists (select from seen s where s.decky = d.decky_name and s.reason = d.reason)
      or ${hostKey === LOCAL_HOST} and ${OF_NOBODY(tx)}),
    left_over as (delete from silent_engines d where ${hostKey === LOCAL_HOST} and ${OF_NOBODY(tx)})
    insert into drift (host_uuid, decky_name, reason, detail) select ${hostKey}, decky, reason, detail from seen order by decky, reason
    on conflict (host_uuid, decky_name, reason) do update set detail = excluded.detail, seen_at = now()`;
}
