/** What heartbeats write, and what has to be read to judge their deltas. Statements are few: this is the busiest path of a swarm. */
import type { CustomService, DeckyConfig, DesiredDecky } from '../../fleet/config.ts';
import { type Comparison, compare, type EngineObservation, type ReturnedDecky } from '../../fleet/drift.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import type { HostStates } from '../../fleet/host-observation.ts';
import type { DeckyState } from '../../fleet/lifecycle.ts';
import type { OpenRow, ReportedDeckyRow } from '../../fleet/rows.ts';
import type { Sql } from './connect.ts';
import { createConvergenceStore } from './drift.ts';
import { DUE, RETURNED } from './pending-work.ts';
import { openRowOf } from './rows.ts';

/** SQLSTATEs: the host was removed while its report was taken in; two transactions waited for each other. */
const FOREIGN_KEY_VIOLATION = '23503';
const DEADLOCK = '40P01';
/** A report that was taken in counts as known for so long: what others changed meanwhile is mended then at the latest. */
const TAKEN_FOR = '5 minutes';
/** A host that was frozen works off the orders in its sockets within seconds of its return. */
const LATE_ORDER = '20 seconds';

/** Deckies remembered of one host: the largest fleet, and as many that were there before. */
const MOST_REPORTED = 20_000;

/** What the heartbeat of a known host has to know of it. */
export interface ReportingHost {
  readonly fenced: boolean;
  /** Its clock minus ours. */
  readonly clockOffsetMs: number;
  /** It should ask for a new certificate. */
  readonly renewalWanted: boolean;
  /** Nothing is under way for its deckies, and the report was taken in wholly, just now. */
  readonly settled?: boolean;
  /** It has pending teardowns that nothing is under way for. */
  readonly hasPendingTeardowns?: boolean;
  /** Deckies of its that were given up while it was silent: it may have them otherwise than the fleet. */
  readonly returned?: readonly ReturnedDecky[];
}

export interface WholeReport extends HostStates {
  /** What the report is recognised by. */
  readonly hash: string;
  readonly agentVersion: string | null;
}

/** An open row that a delta may be about. */
export interface ReportableRow
  extends Pick<OpenRow, 'lifecycleId' | 'deckyName' | 'operation' | 'workflowId' | 'deploymentId'> {
  readonly dispatchedAt: Date | null;
  /** The decky as wanted and as established, for its secrets; only for names of `withSecrets`. */
  readonly versions: readonly DesiredDecky[];
}

export interface HostReports extends ReportedDeckyStore {
  /** Compares what a host reports with what it should have, and keeps how it differs. */
  noteObservation(uuid: string, sight: EngineObservation): Promise<Comparison>;
  /** These deckies are as they should be. What is noted of them goes once that has lasted: a late order may still reach the host. */
  noteAsItShould(uuid: string, names: readonly string[]): Promise<void>;
  /** The cheap path: stamps the host when certificate and report are those that are known; null: look closer. */
  stamp(uuid: string, fingerprint: string, hash: string): Promise<ReportingHost | null>;
  /** Stamps a host whose report is left to its next heartbeat. Null: there is no such host. */
  touch(uuid: string, fenced: boolean): Promise<ReportingHost | null>;
  /** Takes a report in wholly, in one statement. Null: there is no such host (any more). */
  take(uuid: string, hostName: string, report: WholeReport): Promise<ReportingHost | null>;
  /** The open rows of these deckies on this host. */
  openRows(uuid: string, names: readonly string[], withSecrets: readonly string[]): Promise<ReportableRow[]>;
}

export function createHostReports(sql: Sql): HostReports {
  const host = sql`
    fenced, clock_offset_ms as "clockOffsetMs",
    renew_requested or coalesce(cert_not_after < now() + interval '30 days', false) as "renewalWanted"`;
  return {
    async stamp(uuid, fingerprint, hash) {
      const [row] = await sql<ReportingHost[]>`
        update swarm_hosts set status = 'active', last_heartbeat = clock_timestamp(), reported_at = clock_timestamp()
        where uuid = ${uuid} and client_cert_fingerprint = ${fingerprint} and report_hash = ${hash}
          and report_taken_at > now() - ${TAKEN_FOR}::interval
        returning ${host}`;
      return row ?? null;
    },
    async touch(uuid, fenced) {
      const [row] = await sql<ReportingHost[]>`
        update swarm_hosts set status = 'active', last_heartbeat = clock_timestamp(), fenced = fenced or ${fenced}::boolean
        where uuid = ${uuid} returning ${host}`;
      return row ?? null;
    },
    async take(uuid, hostName, report) {
      try {
        return await take(sql, uuid, hostName, report);
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === FOREIGN_KEY_VIOLATION) return null;
        if (code !== DEADLOCK) throw error;
        throw new DeckhandError('Unavailable', 'The report met another change of the fleet. Send it again.', {
          cause: error,
        });
      }
    },
    openRows: (uuid, names, withSecrets) => openRows(sql, uuid, names, withSecrets),
    async noteObservation(uuid, sight) {
      const store = createConvergenceStore(sql);
      const lookedAt = await store.now();
      const comparison = compare(await store.wanted(uuid), sight);
      await store.keep(uuid, comparison, lookedAt);
      return comparison;
    },
    async noteAsItShould(uuid, names) {
      const noted = sql`host_uuid = ${uuid} and decky_name = any(${[...names]}::text[])`;
      await sql`update owed_reconciles set as_it_should_since = now() where ${noted} and as_it_should_since is null`;
      await sql`delete from owed_reconciles where ${noted} and as_it_should_since < now() - ${LATE_ORDER}::interval`;
    },
    ...createReportedDeckyStore(sql),
  };
}

/**
 * An agent of DECNET goes on reporting a decky that was taken down by name, as one that does not run (gap B17). It is none
 * where a teardown of ours succeeded there and the fleet does not have it.
 */
const STALE_REPORT = (sql: Sql, uuid: string, fenced: boolean) => sql`(
  not ${fenced}::boolean and r.shard_state = 'degraded'
  and not exists (select from fleet_deckies f where f.host_uuid = ${uuid} and f.name = r.decky_name)
  and exists (select from decky_lifecycle l where l.decky_name = r.decky_name and l.host_uuid = ${uuid}
    and l.operation = 'teardown' and l.status = 'succeeded'))`;

/** The last operation of the reported decky `s` was a teardown that failed. */
const TEARDOWN_FAILED = (sql: Sql) => sql`(s.state = 'teardown_failed' and exists (
  select from fleet_deckies f where f.host_uuid = s.host_uuid and f.name = s.decky_name and f.state = 'teardown_failed'))`;

/**
 * `decky_shards` becomes what is reported. So do the fleet's deckies of this host (state, and the address: gap B12) that no row is
 * open for: what is open is its workflow's to write. While one is open, or a decky is being changed by somebody else, the
 * hash is not kept, so that the next report is taken in again.
 */
async function take(sql: Sql, uuid: string, hostName: string, report: WholeReport): Promise<ReportingHost | null> {
  const deckies = report.deckies.map(({ config, reportedState, seen, sentence }) => ({
    decky_name: config.name,
    services: config.services,
    decky_config: config,
    decky_ip: config.ip,
    shard_state: reportedState,
    seen,
    sentence,
  }));
  const gone = `Host ${hostName} does not report it any more.`;
  const [row] = await sql<ReportingHost[]>`
    with report as materialized (
      select * from jsonb_to_recordset(${sql.json(JSON.parse(JSON.stringify(deckies)))}) as r
        (decky_name text, services jsonb, decky_config jsonb, decky_ip text, shard_state text, seen text, sentence text)),
    reported as (
      insert into decky_shards as s (host_uuid, decky_name, services, decky_config, decky_ip, state, last_error, last_seen)
      select ${uuid}, decky_name, services, decky_config, decky_ip,
        -- It runs still: its teardown was accepted, and has not ended.
        case when exists (select from decky_lifecycle l where l.decky_name = r.decky_name and l.host_uuid = ${uuid}
          and l.operation = 'teardown' and l.status in ('pending', 'running')) then 'tearing_down' else shard_state end,
        null, now()
      from report r where exists (select from swarm_hosts where uuid = ${uuid}) and not ${STALE_REPORT(sql, uuid, report.fenced)}
        and ((select count(*) from decky_shards where host_uuid = ${uuid}) < ${MOST_REPORTED}
          or exists (select from decky_shards k where k.host_uuid = ${uuid} and k.decky_name = r.decky_name))
      order by decky_name
      on conflict (host_uuid, decky_name) do update set services = excluded.services, decky_config = excluded.decky_config,
        decky_ip = excluded.decky_ip, last_seen = now(), updated_at = now(),
        state = case when ${TEARDOWN_FAILED(sql)} then s.state else excluded.state end,
        last_error = case when ${TEARDOWN_FAILED(sql)} then s.last_error end
      where (s.services, s.decky_config, s.decky_ip) is distinct from (excluded.services, excluded.decky_config, excluded.decky_ip)
        or (not ${TEARDOWN_FAILED(sql)} and (s.state, s.last_error) is distinct from (excluded.state, excluded.last_error))),
    vanished as (
      update decky_shards set state = 'torn_down', last_error = ${gone}, updated_at = now()
      where host_uuid = ${uuid} and ${report.complete}::boolean and decky_name <> all(${[...report.present]}::text[])
        and state <> 'torn_down'),
    fleet as materialized (
      select f.name, f.state, f.decky_ip, f.last_error, l.id is not null as is_open,
        case
          -- Its teardown is pending, or failed: that stands until somebody tries again.
          when f.state in ('tearing_down', 'teardown_failed') then f.state
          when r.seen is not null then case when f.stopped and r.seen = 'degraded' then 'stopped' else r.seen end
          when r.decky_name is null and ${report.complete}::boolean and f.state in ('running', 'degraded', 'stopped')
            and f.name <> all(${[...report.present]}::text[]) then 'torn_down'
          else f.state end as new_state,
        coalesce(nullif(r.decky_ip, ''), f.decky_ip) as new_ip, r.sentence
      from fleet_deckies f left join report r on r.decky_name = f.name
        left join lateral (${openRowOf(sql)}) l on true
      where f.host_uuid = ${uuid}),
    changed as (
      select * from fleet where not is_open and (new_state, new_ip) is distinct from (state, decky_ip)),
    held as (
      select f.name from fleet_deckies f join changed c on c.name = f.name where f.host_uuid = ${uuid}
      for update of f skip locked),
    moved as (
      update fleet_deckies f set state = c.new_state, decky_ip = c.new_ip, last_seen = now(), updated_at = now(),
        last_error = case when c.new_state = c.state then c.last_error when c.new_state in ('running', 'stopped') then null
          when c.new_state = 'torn_down' then ${gone} else c.sentence end,
        decky_config = jsonb_set(f.decky_config, '{ip}', to_jsonb(c.new_ip)),
        established = jsonb_set(f.established, '{config,ip}', to_jsonb(c.new_ip))
      from changed c join held h on h.name = c.name where f.host_uuid = ${uuid} and f.name = c.name)
    update swarm_hosts set status = 'active', last_heartbeat = clock_timestamp(), reported_at = clock_timestamp(),
      report_taken_at = clock_timestamp(), fenced = fenced or ${report.fenced}::boolean,
      agent_version = coalesce(${report.agentVersion}::text, agent_version),
      report_hash = case when exists (select from fleet where is_open)
        or exists (select from owed_teardowns where host_uuid = ${uuid})
        or exists (select from owed_reconciles where host_uuid = ${uuid})
        or (select count(*) from changed) <> (select count(*) from held) then null else ${report.hash} end
    where uuid = ${uuid}
    returning fenced, clock_offset_ms as "clockOffsetMs", (not exists (select from fleet where is_open)
        and not exists (select from owed_teardowns where host_uuid = ${uuid})
        and (select count(*) from changed) = (select count(*) from held)) as settled,
      (select coalesce(jsonb_agg(jsonb_build_object('name', r.decky_name, 'established', r.established) order by r.decky_name), '[]')
        from (${RETURNED(sql)}) r where r.host_uuid = ${uuid}) as returned,
      exists (select from (${DUE(sql)}) d where d.host_uuid = ${uuid}) as "hasPendingTeardowns",
      renew_requested or coalesce(cert_not_after < now() + interval '30 days', false) as "renewalWanted"`;
  return row ?? null;
}

interface RowWithVersions extends Omit<ReportableRow, 'versions'> {
  readonly config: DeckyConfig | null;
  readonly customServices: CustomService[] | null;
  readonly established: DesiredDecky | null;
}

async function openRows(
  sql: Sql,
  uuid: string,
  names: readonly string[],
  withSecrets: readonly string[],
): Promise<ReportableRow[]> {
  const rows = await sql<RowWithVersions[]>`
    select l.id as "lifecycleId", l.decky_name as "deckyName", l.operation, l.workflow_id as "workflowId",
      l.deployment_id as "deploymentId", l.dispatched_at as "dispatchedAt",
      f.decky_config as config, f.custom_services as "customServices", f.established
    from decky_lifecycle l
      left join fleet_deckies f on f.name = l.decky_name and f.name = any(${[...withSecrets]}::text[])
    where l.decky_name = any(${[...names]}::text[]) and l.status in ('pending', 'running') and l.host_uuid = ${uuid}`;
  return rows.map(({ config, customServices, established, ...row }) => ({
    ...row,
    versions: [
      ...(config ? [{ config, custom_services: customServices ?? [] }] : []),
      ...(established ? [established] : []),
    ],
  }));
}

/** `decky_shards`: what each host last said of its deckies, as clients see it, and what the master notes there itself. */

export interface NotedDecky {
  readonly config: DeckyConfig;
  readonly state: DeckyState;
  readonly lastError: string | null;
}

export interface ReportedDeckyStore {
  /** What the hosts last said, by decky. */
  reportedDeckies(filter?: { readonly hostUuid?: string; readonly state?: string }): Promise<ReportedDeckyRow[]>;
  /** What the master itself knows of deckies that it sent or asked about; the next heartbeat writes what is seen. */
  note(uuid: string, deckies: readonly NotedDecky[]): Promise<void>;
  /** All that is known of the host's deckies, or of the one of that name. */
  mark(uuid: string, deckyName: string | null, state: DeckyState, lastError: string | null): Promise<void>;
  forget(uuid: string, deckyName: string | null): Promise<void>;
  /** The deckies that the host is known to have, as wanted, as established and as reported: for their secrets. */
  versions(uuid: string): Promise<DesiredDecky[]>;
  /** The host is gone: nobody will say any more what runs of its deckies. What a row is open for is its workflow's to write. */
  leaveBehind(uuid: string, hostName: string): Promise<void>;
  /** Names of the deckies that the fleet has on the host. */
  members(uuid: string): Promise<string[]>;
  /** True while an operation of a workflow has the host's lane, or waits for it. */
  isBusy(uuid: string): Promise<boolean>;
}

async function reportedDeckies(sql: Sql, filter: { hostUuid?: string; state?: string }): Promise<ReportedDeckyRow[]> {
  const rows = await sql<(Omit<ReportedDeckyRow, keyof Described> & { config: DeckyConfig | null })[]>`
    select s.decky_name, s.decky_ip, s.host_uuid, h.name as host_name, h.address as host_address, h.status as host_status,
      s.services, s.state, s.last_error, s.compose_hash, iso(s.updated_at) as updated_at, s.decky_config as config,
      iso(case when s.state in ('running', 'degraded') then greatest(s.last_seen, h.reported_at) else s.last_seen end) as last_seen
    from decky_shards s join swarm_hosts h on h.uuid = s.host_uuid
    where (${filter.hostUuid ?? null}::text is null or s.host_uuid = ${filter.hostUuid ?? null})
      and (${filter.state ?? null}::text is null or s.state = ${filter.state ?? null})
    order by s.decky_name, h.name`;
  return rows.map(({ config, ...row }) => ({ ...row, ...describe(config) }));
}

type Described = Pick<
  ReportedDeckyRow,
  'hostname' | 'distro' | 'archetype' | 'service_config' | 'mutate_interval' | 'last_mutated'
>;

const describe = (config: DeckyConfig | null): Described => ({
  hostname: config?.hostname ?? null,
  distro: config?.distro ?? null,
  archetype: config?.archetype ?? null,
  service_config: config?.service_config ?? {},
  mutate_interval: config?.mutate_interval ?? null,
  last_mutated: config?.last_mutated ?? 0,
});

/** DECNET's bound for the error of a reported decky. */
const LONGEST_ERROR = 512;
/** PostgreSQL's text holds no NUL. */
const bounded = (error: string | null): string | null => error?.replaceAll('\0', '').slice(0, LONGEST_ERROR) ?? null;

export const createReportedDeckyStore = (sql: Sql): ReportedDeckyStore => ({
  reportedDeckies: (filter = {}) => reportedDeckies(sql, filter),
  note: (uuid, noted) => note(sql, uuid, noted),
  versions: (uuid) => versions(sql, uuid),
  members: async (uuid) =>
    (await sql<{ name: string }[]>`select name from fleet_deckies where host_uuid = ${uuid} order by name`).map(
      (row) => row.name,
    ),
  ...notes(sql),
});

/** The next report is taken in wholly, also when the host says the same as before. */
const lookAgain = (sql: Sql, uuid: string) => sql`update swarm_hosts set report_hash = null where uuid = ${uuid}`;

async function note(sql: Sql, uuid: string, noted: readonly NotedDecky[]): Promise<void> {
  if (noted.length === 0) return;
  const rows = noted.map(({ config, state, lastError }) => ({
    decky_name: config.name,
    services: config.services,
    decky_config: config,
    decky_ip: config.ip,
    state,
    last_error: bounded(lastError),
  }));
  await sql`
    insert into decky_shards (host_uuid, decky_name, services, decky_config, decky_ip, state, last_error)
    select ${uuid}, r.* from jsonb_to_recordset(${sql.json(JSON.parse(JSON.stringify(rows)))}) as r
      (decky_name text, services jsonb, decky_config jsonb, decky_ip text, state text, last_error text)
    on conflict (host_uuid, decky_name) do update set services = excluded.services, updated_at = now(),
      decky_config = excluded.decky_config, decky_ip = excluded.decky_ip, state = excluded.state, last_error = excluded.last_error`;
  await lookAgain(sql, uuid);
}

async function versions(sql: Sql, uuid: string): Promise<DesiredDecky[]> {
  const rows = await sql<{ version: DesiredDecky }[]>`
    select jsonb_build_object('config', decky_config, 'custom_services', custom_services) as version
    from fleet_deckies where host_uuid = ${uuid}
    union all select established from fleet_deckies where host_uuid = ${uuid} and established is not null
    union all select jsonb_build_object('config', decky_config, 'custom_services', '[]'::jsonb)
    from decky_shards where host_uuid = ${uuid} and decky_config is not null`;
  return rows.map((row) => row.version);
}

function notes(sql: Sql): Pick<ReportedDeckyStore, 'mark' | 'forget' | 'leaveBehind' | 'isBusy'> {
  const ofDecky = (deckyName: string | null) => (deckyName === null ? sql`true` : sql`decky_name = ${deckyName}`);
  return {
    async mark(uuid, deckyName, state, lastError) {
      await sql`
        update decky_shards set state = ${state}, last_error = ${bounded(lastError)}, updated_at = now()
        where host_uuid = ${uuid} and ${ofDecky(deckyName)}`;
      await lookAgain(sql, uuid);
    },
    async forget(uuid, deckyName) {
      await sql`delete from decky_shards where host_uuid = ${uuid} and ${ofDecky(deckyName)}`;
      await lookAgain(sql, uuid);
    },
    async leaveBehind(uuid, hostName) {
      const sentence = `Host ${hostName} was removed; what it left running is not known.`;
      await sql`
        update fleet_deckies f set state = 'torn_down', last_error = ${sentence}, updated_at = now()
        where host_uuid = ${uuid} and not exists (
          select from decky_lifecycle l where l.decky_name = f.name and l.status in ('pending', 'running'))`;
    },
    async isBusy(uuid) {
      const [ticket] = await sql`select 1 from host_tickets where host_uuid = ${uuid} and closed_at is null limit 1`;
      return ticket !== undefined;
    },
  };
}
