/** What an accepted operation has open, by the workflows that do it; hosts some at a time, where it has very many. */

import type { Queryable, Sql } from '../adapters/postgres/connect.ts';
import { recordTransitions } from '../adapters/postgres/rows.ts';
import { closeTickets, type Ticket } from '../adapters/postgres/tickets.ts';
import { STATUS, type Transition } from '../fleet/lifecycle.ts';

export interface OperationPart {
  readonly workflowId: string;
  readonly names: readonly string[];
  /** True when some of its rows are teardowns, which go before creations. */
  readonly removals: boolean;
  /** Null: the master's own engine. */
  readonly hostUuid: string | null;
  readonly hostName: string | null;
  /** False: an operation that was accepted before still has the host's lane. */
  readonly turn?: boolean;
}

const LANE_IS_TAKEN = (sql: Queryable, host: ReturnType<Sql>) => sql`
  exists (select from host_tickets mine join host_tickets a on a.host_uuid = mine.host_uuid and a.number < mine.number and a.closed_at is null
    where mine.operation_id = d.id and mine.host_uuid = ${host})`;

/** `hostUuids`: of these hosts only. */
export const partsOf = (sql: Sql, operationId: string, hostUuids?: readonly string[]) => sql<
  (OperationPart & { turn: boolean })[]
>`
  select l.workflow_id as "workflowId", array_agg(l.decky_name order by l.position) as names, bool_or(l.operation = 'teardown') as removals,
    l.host_uuid as "hostUuid", h.name as "hostName", not ${LANE_IS_TAKEN(sql, sql`coalesce(l.host_uuid, 'local')`)} as turn
  from decky_lifecycle l join deployments d on d.id = l.deployment_id left join swarm_hosts h on h.uuid = l.host_uuid
  where l.deployment_id = ${operationId} and l.status in ('pending', 'running')
    ${hostUuids ? sql`and l.host_uuid = any(${[...hostUuids]}::text[])` : sql``}
  group by d.id, l.workflow_id, l.host_uuid, h.name order by min(l.position)`;

export interface HostsEnd {
  readonly operationId: string;
  readonly hostUuids: readonly string[];
  /** A whole row text. */
  readonly error: string;
  /** What the hosts make of what they were sent is not known. */
  readonly unsure?: boolean;
}

export interface HostsEnded {
  readonly next: readonly Ticket[];
  readonly succeeded: number;
  readonly failed: number;
}

/** Rows in one transaction. */
const AT_ONCE = 1_000;

/** Safe to repeat: only what is open then is ended, and the tickets are those whose turn it is. */
export async function endHosts(sql: Sql, { operationId, hostUuids, error, unsure }: HostsEnd): Promise<HostsEnded> {
  const hosts = [...hostUuids];
  const rows = await sql<{ id: string; name: string; status: string }[]>`
    select id, decky_name as name, status from decky_lifecycle
    where deployment_id = ${operationId} and host_uuid = any(${hosts}::text[]) order by position`;
  const transitions = rows
    .filter(({ status }) => status === STATUS.pending || status === STATUS.running)
    .map(
      ({ id, name }): Transition => ({
        lifecycleId: id,
        deckyName: name,
        status: STATUS.failed,
        error,
        ...(unsure ? { unsure } : {}),
      }),
    );
  for (let at = 0; at < transitions.length; at += AT_ONCE)
    await recordTransitions(sql, transitions.slice(at, at + AT_ONCE));
  const next = await closeTickets(sql, hosts, operationId);
  const succeeded = rows.filter(({ status }) => status === STATUS.succeeded).length;
  return { next, succeeded, failed: rows.length - succeeded };
}
