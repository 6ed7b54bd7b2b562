/**
 * Work that is pending until a host, or the master's own engine, can be asked again. It stands in the database and not in a
 * workflow, so that nothing that is restarted or lost meanwhile forgets it. The tables are named `owed_…`.
 *
 * - Pending teardowns: of an unreachable host. They begin when it is back.
 * - Pending reconciles: a row ended without its host's word. The decky is compared, and put right, when the host is back.
 * - Pending clean-ups: of the master's own engine, after a failure that left something behind.
 */
import { DECKY_STATE, type DeckyState, LOCAL_HOST, STATUS, type Transition } from '../../fleet/lifecycle.ts';
import type { LifecycleRow } from '../../fleet/rows.ts';
import type { Queryable } from './connect.ts';

export type TeardownEnd = Pick<LifecycleRow, 'decky_name' | 'host_uuid' | 'error'>;

const LOST = /^HostLost:/;

/** In the transaction that moves the rows. A decky of that name on another host is another one. */
export async function settleTeardowns(
  tx: Queryable,
  status: Transition['status'],
  rows: readonly TeardownEnd[],
): Promise<void> {
  if (rows.length === 0) return;
  const ends = rows.map(({ decky_name, host_uuid, error }) => {
    const lost = error !== null && LOST.test(error);
    const state = status === STATUS.running || lost ? DECKY_STATE.tearingDown : DECKY_STATE.teardownFailed;
    return { name: decky_name, host: host_uuid ?? LOCAL_HOST, error, lost, state };
  });
  const r = tx`jsonb_to_recordset(${tx.json(ends)}) as r (name text, host text, error text, lost boolean, state text)`;
  if (status === STATUS.succeeded) {
    await tx`delete from fleet_deckies f using ${r} where f.name = r.name and f.host_uuid = r.host`;
    await tx`delete from decky_shards s using ${r} where s.decky_name = r.name and s.host_uuid = r.host`;
  } else {
    await tx`update fleet_deckies f set state = r.state, last_error = r.error, updated_at = now()
      from ${r} where f.name = r.name and f.host_uuid = r.host`;
    await tx`insert into decky_shards (host_uuid, decky_name, services, decky_config, decky_ip, state, last_error)
      select h.uuid, f.name, f.services, f.decky_config, f.decky_ip, r.state, left(r.error, 512)
      from ${r} join swarm_hosts h on h.uuid = r.host join fleet_deckies f on f.name = r.name and f.host_uuid = r.host order by f.name
      on conflict (host_uuid, decky_name) do update set state = excluded.state, last_error = excluded.last_error, updated_at = now()`;
  }
  if (status === STATUS.running || ends.every(({ host }) => host === LOCAL_HOST)) return;
  await tx`delete from owed_teardowns o using ${r} where o.decky_name = r.name and o.host_uuid = r.host and not r.lost`;
  await notePendingTeardowns(
    tx,
    ends.filter(({ lost }) => lost),
  );
  // The next report is taken in wholly, also when the host says the same as before it was lost.
  await tx`update swarm_hosts h set report_hash = null from ${r} where h.uuid = r.host`;
}

/** Teardowns were accepted: from this moment on their deckies are shown as going, whenever somebody begins. */
export const showGoing = (
  tx: Queryable,
  rows: readonly { readonly name: string; readonly hostUuid: string | null }[],
): Promise<void> =>
  settleTeardowns(
    tx,
    STATUS.running,
    rows.map(({ name, hostUuid }) => ({ decky_name: name, host_uuid: hostUuid, error: null })),
  );

/** A host that is not enrolled any more has no pending teardowns: nobody can be asked. */
async function notePendingTeardowns(
  tx: Queryable,
  decks: readonly { readonly name: string; readonly host: string }[],
): Promise<void> {
  if (decks.length === 0) return;
  await tx`insert into owed_teardowns (host_uuid, decky_name)
    select r.host, r.name from jsonb_to_recordset(${tx.json(decks.map(({ name, host }) => ({ name, host })))}) as r (name text, host text)
      join swarm_hosts h on h.uuid = r.host
    on conflict do nothing`;
}

/**
 * A deploy was accepted; `placed` says where each decky goes. A decky that is wanted again on a host has no pending teardown
 * there any more. One that leaves a host which was sent it gets a pending teardown there. Runs before the fleet is written.
 */
export async function noteTeardownsByPlacement(
  tx: Queryable,
  placed: readonly { readonly name: string; readonly hostUuid: string | null }[],
): Promise<void> {
  const wanted = placed.map(({ name, hostUuid }) => ({ name, host: hostUuid ?? LOCAL_HOST }));
  const r = tx`jsonb_to_recordset(${tx.json(wanted)}) as r (name text, host text)`;
  const again = tx`with again as (
      delete from owed_teardowns o using ${r} where o.decky_name = r.name and o.host_uuid = r.host returning o.host_uuid, o.decky_name)
    update fleet_deckies f set state = 'degraded', updated_at = now() from again a where f.host_uuid = a.host_uuid and f.name = a.decky_name`;
  const leaving = tx<{ name: string; host: string }[]>`
    select f.name, f.host_uuid as host from fleet_deckies f join ${r} on r.name = f.name and r.host <> f.host_uuid
    where f.host_uuid <> ${LOCAL_HOST} and (f.established->'config'->>'host_uuid' = f.host_uuid
      or exists (select from decky_lifecycle l
        where l.decky_name = f.name and l.host_uuid = f.host_uuid and l.dispatched_at is not null))`;
  const [, moved] = await Promise.all([again, leaving]);
  await notePendingTeardowns(tx, moved);
}

/**
 * Moves that failed. A decky whose teardown is still pending on its old host has run there all along, and is that host's again:
 * taken down there it would run nowhere. If the new host was sent it, its teardown is pending there now.
 */
export async function stayWhereTheyRun(tx: Queryable, lifecycleIds: readonly string[]): Promise<void> {
  const stayed = await tx<{ name: string; host: string; dispatched: boolean }[]>`
    with kept as (
      delete from owed_teardowns o using decky_lifecycle l, fleet_deckies f
      where l.id = any(${[...lifecycleIds]}::text[]) and f.name = l.decky_name and o.decky_name = l.decky_name
        and f.host_uuid = l.host_uuid and o.host_uuid <> f.host_uuid and f.established->'config'->>'host_uuid' = o.host_uuid
      returning o.host_uuid as back, l.decky_name as name, l.host_uuid as host, l.dispatched_at is not null as dispatched),
    moved as (
      update fleet_deckies f set host_uuid = k.back, state = 'degraded', updated_at = now() from kept k where f.name = k.name),
    told as (update swarm_hosts h set report_hash = null from kept k where h.uuid = k.back)
    select name, host, dispatched from kept`;
  await notePendingTeardowns(
    tx,
    stayed.filter(({ dispatched }) => dispatched),
  );
}

/** The host says that it took the decky down. */
export async function forgetPendingTeardown(sql: Queryable, hostUuid: string, deckyName: string): Promise<void> {
  await sql`delete from owed_teardowns where host_uuid = ${hostUuid} and decky_name = ${deckyName}`;
}

/** Pending teardowns that nothing is under way for, for lists of several hosts too. */
export const DUE = (sql: Queryable) => sql`
  select o.host_uuid, o.decky_name from owed_teardowns o where not exists (
    select from decky_lifecycle l where l.decky_name = o.decky_name and l.status in ('pending', 'running'))`;

// --- Pending reconciles ---

export interface EndedRow extends Pick<LifecycleRow, 'decky_name' | 'host_uuid' | 'operation' | 'error'> {
  /** The host was sent it, and did not say how it ended. */
  readonly unsure: boolean;
}

/** In the transaction that ends deploys and mutations: what a host said is settled, the rest is pending. */
export async function settlePendingReconciles(tx: Queryable, rows: readonly EndedRow[]): Promise<void> {
  const ends = rows.flatMap(({ decky_name, host_uuid, operation, error, unsure }) =>
    host_uuid === null || operation === 'teardown'
      ? []
      : [
          {
            name: decky_name,
            host: host_uuid,
            unsure,
            why: `its ${operation} ended as ${error?.split(':')[0] ?? 'unknown'}`,
          },
        ],
  );
  if (ends.length === 0) return;
  const r = tx`jsonb_to_recordset(${tx.json(ends)}) as r (name text, host text, unsure boolean, why text)`;
  await tx`delete from owed_reconciles o using ${r} where o.decky_name = r.name and o.host_uuid = r.host and not r.unsure`;
  if (!ends.some(({ unsure }) => unsure)) return;
  await tx`insert into owed_reconciles (host_uuid, decky_name, why)
    select r.host, r.name, r.why from ${r} join swarm_hosts h on h.uuid = r.host where r.unsure
    on conflict (host_uuid, decky_name) do update set why = excluded.why, since = now(), as_it_should_since = null`;
  // The next report is taken in wholly, also when the host says the same as before it was lost.
  await tx`update swarm_hosts h set report_hash = null from ${r} where h.uuid = r.host and r.unsure`;
}

/** A later operation wants the decky: what it becomes is that one's. */
export const forgetPendingReconciles = (tx: Queryable, names: readonly string[]) =>
  tx`delete from owed_reconciles where decky_name = any(${[...names]}::text[])`;

/** The deckies that are noted for a host, are the fleet's there still, and have no open row. */
export const RETURNED = (sql: Queryable) => sql`
  select o.host_uuid, o.decky_name, o.why, f.established is not null as established
  from owed_reconciles o join fleet_deckies f on f.name = o.decky_name and f.host_uuid = o.host_uuid
  where f.state not in ('tearing_down', 'teardown_failed') and not exists (
    select from decky_lifecycle l where l.decky_name = o.decky_name and l.status in ('pending', 'running'))`;

// --- Pending clean-ups of the master's own engine ---

/** As many as one look hands on. */
const MOST = 100;

export async function notePendingCleanUp(sql: Queryable, deckyName: string): Promise<void> {
  await sql`insert into owed_clean_ups (decky_name) values (${deckyName}) on conflict do nothing`;
}

/** While a row of a decky is open, that operation does as it says with it. */
const HAS_OPEN_ROW = (sql: Queryable) => sql`exists (select from decky_lifecycle l
  where l.decky_name = o.decky_name and l.status in ('pending', 'running'))`;

/** Oldest first. One that left the fleet, or this engine, is forgotten: what is there of it is an orphan, which drift names. */
export async function pendingCleanUps(sql: Queryable): Promise<string[]> {
  await sql`delete from owed_clean_ups o where not ${HAS_OPEN_ROW(sql)}
    and not exists (select from fleet_deckies f where f.name = o.decky_name and f.host_uuid = ${LOCAL_HOST})`;
  const rows = await sql<{ name: string }[]>`
    select decky_name as name from owed_clean_ups o where not ${HAS_OPEN_ROW(sql)} order by since, decky_name limit ${MOST}`;
  return rows.map(({ name }) => name);
}

export async function isCleanUpPending(sql: Queryable, deckyName: string): Promise<boolean> {
  const rows = await sql`select from owed_clean_ups o where decky_name = ${deckyName} and not ${HAS_OPEN_ROW(sql)}`;
  return rows.length > 0;
}

/** It was done, and `seen` is what the engine has of the decky now. */
export async function cleanedUp(sql: Queryable, deckyName: string, seen: DeckyState): Promise<void> {
  await sql`
    with o as (delete from owed_clean_ups where decky_name = ${deckyName} returning decky_name)
    update fleet_deckies f set state = ${seen}, updated_at = now() from o
    where f.name = o.decky_name and f.host_uuid = ${LOCAL_HOST} and f.state in ('failed', 'degraded') and not ${HAS_OPEN_ROW(sql)}`;
}

/** The pending teardowns of a host that nothing is under way for. */
export const dueTeardowns = (tx: Queryable, hostUuid: string | null) =>
  tx<{ name: string; host_uuid: string; open: null; operation: null }[]>`
    select d.decky_name as name, d.host_uuid, null as open, null as operation from (${DUE(tx)}) d
    where d.host_uuid = ${hostUuid} order by d.decky_name`;

/** Those of these deckies that are noted for a host that is back. */
export const returnedDeckies = (tx: Queryable, hostUuid: string | null, names: readonly string[]) =>
  tx<{ decky_name: string; why: string; host_name: string }[]>`
    select r.decky_name, r.why, h.name as host_name from (${RETURNED(tx)}) r join swarm_hosts h on h.uuid = r.host_uuid
    where r.host_uuid = ${hostUuid} and r.decky_name = any(${[...names]}::text[]) order by r.decky_name`;
