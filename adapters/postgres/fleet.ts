/** The fleet: every decky that should exist, and what was last seen of it. */
import type { CustomService, DeckyConfig, DesiredDecky, FleetNetwork } from '../../fleet/config.ts';
import type { HostSetMember } from '../../fleet/hosts.ts';
import { DECKY_STATE, LOCAL_HOST, type Operation } from '../../fleet/lifecycle.ts';
import { boundedRollout, LIMITS, type RolloutOptions } from '../../fleet/limits.ts';
import type { NamedDecky } from '../../fleet/names.ts';
import type { FleetMember, FleetSnapshot, PlacementHost } from '../../fleet/plan-deploy.ts';
import type { FleetDecky, OpenRow } from '../../fleet/rows.ts';
import { type Queryable, reachable, type Sql } from './connect.ts';
import { DRIFTERS, SILENT, STRANDED } from './drift.ts';
import { openRowOf, openRowsOf } from './rows.ts';

export interface FleetReader {
  snapshot(): Promise<FleetSnapshot>;
  deckies(): Promise<DeckyConfig[]>;
  /** How many deckies should be, and how many of them were seen running on an engine that answers. */
  counts(): Promise<{ deployed: number; active: number }>;
  overview(): Promise<{ network: FleetNetwork | null; deckies: FleetDecky[] }>;
}

const NETWORK_KEY = 'fleet_network';
const LIMIT_KEY = 'deployment_limit';

export async function readNetwork(sql: Queryable): Promise<FleetNetwork | null> {
  const [row] = await sql<{ value: FleetNetwork }[]>`select value from settings where key = ${NETWORK_KEY}`;
  return row?.value ?? null;
}

export async function writeNetwork(sql: Queryable, network: FleetNetwork): Promise<void> {
  await sql`insert into settings (key, value) values (${NETWORK_KEY}, ${sql.json({ ...network })})
    on conflict (key) do update set value = excluded.value, updated_at = now()`;
}

/** Writes `kept` back where the fleet's network is `given` still. */
export async function keepNetwork(sql: Queryable, kept: FleetNetwork, given: FleetNetwork): Promise<void> {
  await sql`update settings set value = ${sql.json({ ...kept })}, updated_at = now()
    where key = ${NETWORK_KEY} and value = ${sql.json({ ...given })}`;
}

/** The limit that an admin set or the first start seeded (settings.ts). */
async function readDeploymentLimit(sql: Queryable): Promise<number> {
  const [row] = await sql<{ value: unknown }[]>`select value from settings where key = ${LIMIT_KEY}`;
  return typeof row?.value === 'number' ? row.value : LIMITS.deploymentLimit;
}

interface MemberRow {
  host_uuid: string;
  decky_config: DeckyConfig;
  custom_services: CustomService[];
  established: boolean;
  lifecycle_id: string | null;
  operation: Operation | null;
  teardown_pending_on: string | null;
}

const readMemberRows = (sql: Queryable): Promise<MemberRow[]> => sql<MemberRow[]>`
  select f.host_uuid, f.decky_config, f.custom_services, f.established is not null as established, l.id as lifecycle_id, l.operation, h.name as teardown_pending_on
  from fleet_deckies f left join decky_lifecycle l on l.decky_name = f.name and l.status in ('pending', 'running')
    left join owed_teardowns o on o.host_uuid = f.host_uuid and o.decky_name = f.name
    left join swarm_hosts h on h.uuid = o.host_uuid
  order by f.name`;

/** What planning needs: members with their open rows, the network that was stored last, hosts and the limit. */
export async function readSnapshot(sql: Queryable): Promise<FleetSnapshot> {
  const [rows, network, hosts, limit] = await Promise.all([
    readMemberRows(sql),
    readNetwork(sql),
    sql<PlacementHost[]>`select uuid, name, address, status, draining from swarm_hosts order by name`,
    readDeploymentLimit(sql),
  ]);
  const members = rows.map(
    (row): FleetMember => ({
      desired: { config: row.decky_config, custom_services: row.custom_services },
      host_uuid: row.host_uuid === LOCAL_HOST ? null : row.host_uuid,
      established: row.established,
      open: row.lifecycle_id && row.operation ? { lifecycle_id: row.lifecycle_id, operation: row.operation } : null,
      teardownPendingOn: row.teardown_pending_on,
    }),
  );
  return { network, members, limit, hosts };
}

/** A decky of the fleet as acceptance judges it. */
export interface FleetDeckyWithOpenRow {
  readonly name: string;
  /** A host's uuid, or `local`. */
  readonly host_uuid: string;
  readonly host_name: string | null;
  /** True where its host has an agent of ours; null for the master's own engine. */
  readonly fenced: boolean | null;
  readonly config: DeckyConfig;
  readonly custom_services: CustomService[];
  readonly established: boolean;
  readonly stopped: boolean;
  /** Its host was lost before it was down. */
  readonly teardownPending: boolean;
  /** The id and the operation of its open row. */
  readonly open: string | null;
  readonly operation: Operation | null;
}

const WITH_OPEN_ROW = (sql: Queryable) => sql`
  select f.name, f.host_uuid, h.name as host_name, h.fenced, f.decky_config as config, f.custom_services,
    f.established is not null as established, f.stopped, l.id as open, l.operation,
    exists (select from owed_teardowns o where o.host_uuid = f.host_uuid and o.decky_name = f.name) as "teardownPending"
  from fleet_deckies f left join swarm_hosts h on h.uuid = f.host_uuid
    left join decky_lifecycle l on l.decky_name = f.name and l.status in ('pending', 'running')`;

export async function readDeckyWithOpenRow(tx: Queryable, name: string): Promise<FleetDeckyWithOpenRow | null> {
  const [decky] = await tx<FleetDeckyWithOpenRow[]>`${WITH_OPEN_ROW(tx)} where f.name = ${name}`;
  return decky ?? null;
}

/** Those of a host, or with null all. */
export const readDeckiesWithOpenRow = (tx: Queryable, hostUuid: string | null) => tx<FleetDeckyWithOpenRow[]>`
  ${WITH_OPEN_ROW(tx)} where (${hostUuid}::text is null or f.host_uuid = ${hostUuid}) order by f.name`;

export const readNamedDeckies = (tx: Queryable) => tx<NamedDecky[]>`select name, services from fleet_deckies`;

export const setServices = (tx: Queryable, config: DeckyConfig) => tx`
  update fleet_deckies set services = ${tx.json([...config.services])}, decky_config = ${tx.json(JSON.parse(JSON.stringify(config)))},
    updated_at = now() where name = ${config.name}`;

export const setStopped = (tx: Queryable, name: string, isStopped: boolean) => tx`
  update fleet_deckies set stopped = ${isStopped}, updated_at = now() where name = ${name}`;

/** Deckies that move to another host, which has them not yet. */
export const setPending = (tx: Queryable, names: readonly string[]) => tx`
  update fleet_deckies set state = ${DECKY_STATE.pending} where name = any(${[...names]}::text[])`;

/** A decky that an operator stopped stays so as long as it is asked for as it is; another version of it is one to run. */
const SAME_VERSION = (sql: Queryable) => sql`
  (fleet_deckies.decky_config - 'last_mutated' - 'mutate_interval' - 'host_uuid')
    = (excluded.decky_config - 'last_mutated' - 'mutate_interval' - 'host_uuid')
  and fleet_deckies.custom_services = excluded.custom_services`;

/** Stores what a decky should be, as of its latest accepted operation. What was established stays beside it. */
export async function upsertDesired(sql: Queryable, deckies: readonly DesiredDecky[]): Promise<void> {
  if (deckies.length === 0) return;
  const rows = deckies.map(({ config, custom_services }) => ({
    host_uuid: config.host_uuid ?? LOCAL_HOST,
    name: config.name,
    services: config.services,
    decky_config: config,
    custom_services,
    decky_ip: config.ip,
  }));
  // One parameter for all of them: a statement may have 65,535, and a fleet 10,000 deckies.
  await sql`insert into fleet_deckies (host_uuid, name, services, decky_config, custom_services, decky_ip)
    select * from jsonb_to_recordset(${sql.json(JSON.parse(JSON.stringify(rows)))}) as r (host_uuid text, name text, services jsonb, decky_config jsonb, custom_services jsonb, decky_ip text)
    on conflict (name) do update set host_uuid = excluded.host_uuid, services = excluded.services, decky_config = excluded.decky_config,
      custom_services = excluded.custom_services, decky_ip = excluded.decky_ip, updated_at = now(),
      stopped = fleet_deckies.stopped and ${SAME_VERSION(sql)},
      rotation_off = fleet_deckies.rotation_off and excluded.decky_config->>'mutate_interval' is null,
      state = case when fleet_deckies.established is null then 'pending' else fleet_deckies.state end,
      last_error = case when fleet_deckies.established is null then null else fleet_deckies.last_error end`;
}

/** A member of a host's fleet: as of its latest accepted operation, and the version that came up last. */
export interface HostMember {
  readonly desired: DesiredDecky;
  readonly established: DesiredDecky | null;
}

/** The whole desired set of a host, or, with a name, that decky alone. */
export async function readMembers(sql: Queryable, hostUuid: string, name?: string): Promise<HostMember[]> {
  const rows = await sql<
    {
      decky_config: DeckyConfig;
      custom_services: CustomService[];
      established: DesiredDecky | null;
      stopped: boolean;
    }[]
  >`
    select decky_config, custom_services, established, stopped from fleet_deckies
    where host_uuid = ${hostUuid} and (${name ?? null}::text is null or name = ${name ?? null}) order by name`;
  return rows.map((row) => ({
    desired: { config: row.decky_config, custom_services: row.custom_services, ...stopMark(row) },
    established: row.established && { ...row.established, ...stopMark(row) },
  }));
}

/** Both versions of a decky are stopped, or none. */
export const stopMark = ({ stopped }: { stopped: boolean }): { stopped?: true } => (stopped ? { stopped: true } : {});

export function createFleetReader(sql: Sql): FleetReader {
  return {
    snapshot: () => reachable(() => readSnapshot(sql)),
    deckies: () =>
      reachable(async () => {
        const rows = await sql<{ decky_config: DeckyConfig }[]>`select decky_config from fleet_deckies order by name`;
        return rows.map((row) => row.decky_config);
      }),
    counts: () =>
      reachable(async () => {
        const [row] = await sql<{ deployed: number; active: number }[]>`
          select count(*)::int as deployed,
            (count(*) filter (where f.state = 'running' and s.host_key is null and d.is_down is not true))::int as active
          from fleet_deckies f left join (${SILENT(sql)}) s on s.host_key = f.host_uuid
            left join (${DRIFTERS(sql)}) d on d.decky_name = f.name and d.host_key = f.host_uuid`;
        return row ?? { deployed: 0, active: 0 };
      }),
    overview: () =>
      reachable(async () => {
        const rows = await sql<
          (Omit<FleetDecky, 'host_uuid' | 'open'> & { host_key: string; open: FleetDecky['open'] })[]
        >`
          select f.name, f.decky_ip as ip, f.services, f.decky_config->>'hostname' as hostname, f.decky_config->>'archetype' as archetype,
            f.host_uuid as host_key, h.name as host_name, f.last_error,
            case when l.id is null and ${STRANDED(sql)} then 'unknown'
              when l.id is null and f.state in ('running', 'degraded', 'stopped') and s.host_key is not null then 'unknown'
              when l.id is null and f.state = 'running' and d.is_down then 'degraded' else f.state end as state,
            coalesce(d.reasons, '[]') as drift, f.established is not null as established,
            case when l.id is null then null else
              jsonb_build_object('lifecycle_id', l.id, 'operation', l.operation, 'status', l.status, 'step', l.step) end as open,
            iso(f.updated_at) as updated_at
          from fleet_deckies f left join decky_lifecycle l on l.decky_name = f.name and l.status in ('pending', 'running')
            left join swarm_hosts h on h.uuid = f.host_uuid
            left join (${SILENT(sql)}) s on s.host_key = f.host_uuid
            left join (${DRIFTERS(sql)}) d on d.decky_name = f.name and d.host_key = f.host_uuid
          order by f.name`;
        const network = rows.length > 0 ? await readNetwork(sql) : null;
        return {
          network,
          deckies: rows.map(({ host_key, ...view }) => ({
            ...view,
            host_uuid: host_key === LOCAL_HOST ? null : host_key,
          })),
        };
      }),
  };
}

/** What a shard works on: its open rows, and the members of its host's fleet with what is open for them. */

export interface HostWork {
  readonly rows: readonly OpenRow[];
  readonly members: readonly HostSetMember[];
  readonly network: FleetNetwork | null;
  readonly options: RolloutOptions;
}

/** Everything that an order for the host is made of. `operationId` is the deployment whose options hold. */
export async function readHostWork(
  sql: Queryable,
  { hostUuid, workflowId, operationId }: { hostUuid: string; workflowId: string; operationId: string },
): Promise<HostWork> {
  const [rows, members, network, [request]] = await Promise.all([
    openRowsOf(sql, workflowId),
    readMembersWithOpen(sql, hostUuid),
    readNetwork(sql),
    sql<{ options: RolloutOptions }[]>`select options from deployments where id = ${operationId}`,
  ]);
  return { rows, members, network, options: boundedRollout(request?.options) };
}

interface MemberWithOpen {
  decky_config: DeckyConfig;
  custom_services: CustomService[];
  established: DesiredDecky | null;
  stopped: boolean;
  workflow_id: string | null;
  operation: Operation | null;
}

async function readMembersWithOpen(sql: Queryable, hostUuid: string): Promise<HostSetMember[]> {
  const rows = await sql<MemberWithOpen[]>`
    select f.decky_config, f.custom_services, f.stopped, l.workflow_id, l.operation,
      -- A decky whose teardown is pending is to go: no order brings it back.
      case when o.decky_name is null then f.established end as established
    from fleet_deckies f left join lateral (${openRowOf(sql)}) l on true
      left join owed_teardowns o on o.host_uuid = f.host_uuid and o.decky_name = f.name
    where f.host_uuid = ${hostUuid} order by l.position, f.name`;
  return rows.map((row) => ({
    desired: { config: row.decky_config, custom_services: row.custom_services, ...stopMark(row) },
    established: row.established && { ...row.established, ...stopMark(row) },
    open: row.workflow_id && row.operation ? { workflowId: row.workflow_id, operation: row.operation } : null,
  }));
}
