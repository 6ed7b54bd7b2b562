/** The lane of a host: tickets numbered in the order of acceptance; the lowest open one runs (promise 6). */
import type { Queryable, Sql } from './connect.ts';

export interface Ticket {
  readonly hostUuid: string;
  readonly number: number;
  readonly operationId: string;
  readonly workflowId: string;
}

/** Draws the next number under the host's lock, which the caller's transaction keeps until it ends. */
export async function openTicket(tx: Queryable, ticket: Omit<Ticket, 'number'>): Promise<number> {
  const [number] = await openTickets(tx, [ticket]);
  return number ?? Number.NaN;
}

/**
 * As {@link openTicket}, of several hosts by two statements. Lanes are locked in the order of the hosts' ids, so that two who
 * want the same ones don't wait for each other.
 */
export async function openTickets(tx: Queryable, tickets: readonly Omit<Ticket, 'number'>[]): Promise<number[]> {
  const wanted = [...tickets].sort((a, b) => (a.hostUuid < b.hostUuid ? -1 : 1));
  const hosts = wanted.map(({ hostUuid }) => hostUuid);
  const locked = tx`select pg_advisory_xact_lock(hashtext(current_schema() || '/lane/' || host)) from unnest(${hosts}::text[]) as host`;
  // A statement of its own, sent right behind: what it reads is what holds once the locks are ours.
  const drawn = tx<{ number: string }[]>`
    insert into host_tickets (host_uuid, number, operation_id, workflow_id)
    select w.host, coalesce((select max(t.number) from host_tickets t where t.host_uuid = w.host), 0) + 1, w.operation, w.workflow
    from unnest(${hosts}::text[], ${wanted.map(({ operationId }) => operationId)}::text[], ${wanted.map(({ workflowId }) => workflowId)}::text[])
      as w (host, operation, workflow)
    returning number`;
  const [, rows] = await Promise.all([locked, drawn]);
  return rows.map((row) => Number(row.number));
}

/** The operation's number in the host's lane; null where it has none there. */
export async function ticketOf(sql: Queryable, hostUuid: string, operationId: string): Promise<number | null> {
  const [row] = await sql<{ number: string }[]>`
    select number from host_tickets where host_uuid = ${hostUuid} and operation_id = ${operationId}`;
  return row ? Number(row.number) : null;
}

/**
 * The host has accepted a ticket beyond `seen`, which this database did not send: it was restored from a backup, or the host belonged
 * to another master. Open tickets get numbers beyond that one, in the order that they have, and the operation's new one is
 * returned. Null where the operation's turn is over or has not come: then it was overtaken indeed.
 */
export async function redrawTickets(
  sql: Sql,
  { hostUuid, operationId, seen }: { hostUuid: string; operationId: string; seen: number },
): Promise<number | null> {
  return sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(hashtext(current_schema() || '/lane/' || ${hostUuid}))`;
    const current = await currentTicket(tx, hostUuid);
    if (current?.operationId !== operationId) return null;
    if (current.number > seen) return current.number;
    // Beyond all that are there, so that no two meet while the numbers change.
    await tx`update host_tickets set number = number + (
        select greatest(max(t.number), ${seen}) + 1 - ${current.number} from host_tickets t where t.host_uuid = ${hostUuid})
      where host_uuid = ${hostUuid} and closed_at is null`;
    return ticketOf(tx, hostUuid, operationId);
  });
}

/** The open ticket that runs now on the host, or null when the lane is free. */
export async function currentTicket(sql: Queryable, hostUuid: string): Promise<Ticket | null> {
  const [row] = await sql<(Omit<Ticket, 'number'> & { number: string })[]>`
    select host_uuid as "hostUuid", number, operation_id as "operationId", workflow_id as "workflowId"
    from host_tickets where host_uuid = ${hostUuid} and closed_at is null order by number limit 1`;
  return row ? { ...row, number: Number(row.number) } : null;
}

/** Closes the operation's ticket, if open, and returns the ticket whose turn it is now. */
export async function closeTicket(sql: Queryable, hostUuid: string, operationId: string): Promise<Ticket | null> {
  await sql`update host_tickets set closed_at = now() where host_uuid = ${hostUuid} and operation_id = ${operationId} and closed_at is null`;
  return currentTicket(sql, hostUuid);
}

/** As {@link closeTicket}, of several hosts by two statements. */
export async function closeTickets(
  sql: Queryable,
  hostUuids: readonly string[],
  operationId: string,
): Promise<Ticket[]> {
  const hosts = [...hostUuids];
  await sql`update host_tickets set closed_at = now() where host_uuid = any(${hosts}::text[]) and operation_id = ${operationId} and closed_at is null`;
  const rows = await sql<(Omit<Ticket, 'number'> & { number: string })[]>`
    select distinct on (host_uuid) host_uuid as "hostUuid", number, operation_id as "operationId", workflow_id as "workflowId"
    from host_tickets where host_uuid = any(${hosts}::text[]) and closed_at is null order by host_uuid, number`;
  return rows.map((row) => ({ ...row, number: Number(row.number) }));
}

/** Open tickets older than `ageMs`, for the sweep. */
export async function openTicketsOlderThan(sql: Queryable, ageMs: number): Promise<Ticket[]> {
  const rows = await sql<(Omit<Ticket, 'number'> & { number: string })[]>`
    select host_uuid as "hostUuid", number, operation_id as "operationId", workflow_id as "workflowId"
    from host_tickets where closed_at is null and opened_at < now() - ${ageMs} * interval '1 millisecond' order by host_uuid, number`;
  return rows.map((row) => ({ ...row, number: Number(row.number) }));
}
