/** `decky_shards`: what each host last said of its deckies, as clients see it, and what the master notes there itself. */
import type { DeckyConfig, DesiredDecky } from '../../fleet/config.ts';
import type { DeckyState } from '../../fleet/lifecycle.ts';
import type { Sql } from './connect.ts';

export interface ShardView {
  readonly decky_name: string;
  readonly decky_ip: string | null;
  readonly host_uuid: string;
  readonly host_name: string;
  readonly host_address: string;
  readonly host_status: string;
  readonly services: readonly string[];
  readonly state: DeckyState;
  readonly last_error: string | null;
  readonly compose_hash: string | null;
  readonly updated_at: string;
  readonly hostname: string | null;
  readonly distro: string | null;
  readonly archetype: string | null;
  readonly service_config: DeckyConfig['service_config'];
  readonly mutate_interval: number | null;
  readonly last_mutated: number;
  readonly last_seen: string | null;
}

export interface NotedShard {
  readonly config: DeckyConfig;
  readonly state: DeckyState;
  readonly lastError: string | null;
}

export interface ShardStore {
  /** What the hosts last said, by decky. */
  shards(filter?: { readonly hostUuid?: string; readonly state?: string }): Promise<ShardView[]>;
  /** What the master itself knows of deckies that it sent or asked about; the next heartbeat writes what is seen. */
  note(uuid: string, shards: readonly NotedShard[]): Promise<void>;
  /** All shards of the host, or the one of that name. */
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

async function shards(sql: Sql, filter: { hostUuid?: string; state?: string }): Promise<ShardView[]> {
  const rows = await sql<(Omit<ShardView, keyof Described> & { config: DeckyConfig | null })[]>`
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
  ShardView,
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

/** DECNET's bound for a shard's error. */
const LONGEST_ERROR = 512;
/** PostgreSQL's text holds no NUL. */
const bounded = (error: string | null): string | null => error?.replaceAll('\0', '').slice(0, LONGEST_ERROR) ?? null;

export const createShardStore = (sql: Sql): ShardStore => ({
  shards: (filter = {}) => shards(sql, filter),
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

async function note(sql: Sql, uuid: string, noted: readonly NotedShard[]): Promise<void> {
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

function notes(sql: Sql): Pick<ShardStore, 'mark' | 'forget' | 'leaveBehind' | 'isBusy'> {
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
