/** Tables of the bare peer with the outside work, and the few statements on them. */
import { randomUUID } from 'node:crypto';
import type { Sql } from '../../../adapters/postgres/connect.ts';
import type { DeckyConfig } from '../../../fleet/config.ts';
import type { SimulatedHost } from '../../../test/support/simulated-agents/launch.ts';

export interface BareRow {
  readonly id: string;
  readonly host: string;
  readonly decky: string;
  readonly config: DeckyConfig;
}

export async function createTables(sql: Sql, schema: string): Promise<void> {
  await sql`create schema ${sql(schema)}`;
  await sql`create table hosts (uuid text primary key, port integer not null, fingerprint text not null, last_heartbeat timestamptz)`;
  await sql`create table rows (
    id text primary key, operation text not null, host text not null, decky text not null, status text not null,
    config jsonb not null, updated_at timestamptz not null default now())`;
  await sql`create index rows_by_host on rows (operation, host)`;
  await sql`create index rows_open on rows (host, decky) where status in ('pending', 'running')`;
  await sql`create table outbox (id bigint generated always as identity primary key, row_id text not null, decky text not null, status text not null)`;
}

export async function insertHosts(
  sql: Sql,
  hosts: readonly SimulatedHost[],
  ports: Readonly<Record<string, number>>,
): Promise<void> {
  const rows = hosts.map(({ hostUuid, fingerprint }) => ({ uuid: hostUuid, port: ports[hostUuid] ?? 0, fingerprint }));
  await sql`insert into hosts (uuid, port, fingerprint)
    select * from jsonb_to_recordset(${sql.json(rows)}) as r (uuid text, port integer, fingerprint text)`;
}

/** Returns the id of the operation. */
export async function insertRows(sql: Sql, hosts: readonly string[], deckies: number): Promise<string> {
  const operation = randomUUID();
  const rows: BareRow[] = hosts.flatMap((host, at) =>
    Array.from({ length: deckies }, (_, index) => {
      const decky = `d-${at}-${index}`;
      return { id: randomUUID(), host, decky, config: configOf(decky, host, at * deckies + index) };
    }),
  );
  await sql`insert into rows (id, operation, host, decky, status, config)
    select r.id, ${operation}, r.host, r.decky, 'pending', r.config
    from jsonb_to_recordset(${sql.json(rows as never)}) as r (id text, host text, decky text, config jsonb)`;
  return operation;
}

/** A batch of rows, and their events, in one transaction. */
export async function moveRows(sql: Sql, ids: readonly string[], status: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`
      with moved as (update rows set status = ${status}, updated_at = now() where id = any(${[...ids]}) returning id, decky)
      insert into outbox (row_id, decky, status) select id, decky, ${status} from moved`;
  });
}

export async function countOpen(sql: Sql): Promise<number> {
  const [row] = await sql<{ open: number }[]>`
    select count(*)::int as open from rows where status in ('pending', 'running')`;
  return row?.open ?? 0;
}

const configOf = (name: string, host: string, index: number): DeckyConfig => ({
  name,
  ip: `10.78.${Math.floor(index / 250)}.${(index % 250) + 2}`,
  services: ['ssh', 'http'],
  distro: 'debian',
  base_image: 'debian:bookworm-slim',
  build_base: 'debian:bookworm-slim',
  hostname: name,
  archetype: null,
  service_config: {},
  nmap_os: 'linux',
  mutate_interval: null,
  last_mutated: 0,
  last_login_attempt: 0,
  host_uuid: host,
});
