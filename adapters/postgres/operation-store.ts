/** What activities need of PostgreSQL, over one pool: operations, rows, lanes, and what the sweep looks for. */

import type { FleetNetwork } from '../../fleet/config.ts';
import type { ErrorCode } from '../../fleet/errors.ts';
import type { Transition } from '../../fleet/lifecycle.ts';
import type { RolloutOptions } from '../../fleet/limits.ts';
import { acceptRequest } from './accept.ts';
import type { Sql } from './connect.ts';
import { reachable } from './connect.ts';
import { closeRequest, finishDeployment, loadRequest, type RequestState } from './deployments.ts';
import { type HostMember, readMembers, readNetwork } from './fleet.ts';
import { noteSteps, type OpenRow, openRowsOf, openRowsOlderThan, recordTransitions } from './lifecycle.ts';
import { closeTicket, currentTicket, openTicketsOlderThan, type Ticket } from './tickets.ts';

export interface OperationPart {
  readonly workflowId: string;
  readonly names: readonly string[];
  /** True when some of its rows are teardowns, which go before creations. */
  readonly removals: boolean;
}

export type OperationAcceptance =
  | {
      readonly accepted: true;
      readonly parts: readonly OperationPart[];
      readonly turn: boolean;
      /** What hangs on the old network must go first. */
      readonly networkMoved: boolean;
      readonly progressDeadlineMs: number;
    }
  | { readonly accepted: false; readonly code: ErrorCode; readonly detail: string };

/** An operation that PostgreSQL believes to be under way. */
export interface UnfinishedOperation {
  readonly operationId: string;
  readonly workflowId: string;
  readonly kind: 'deploy' | 'teardown';
  readonly state: RequestState;
}

export type PostgresOperationStore = ReturnType<typeof createOperationStore>;

export function createOperationStore(sql: Sql) {
  return {
    accept: (operationId: string) => reachable(() => accept(sql, operationId)),
    withdraw: (operationId: string) => reachable(() => closeRequest(sql, operationId, 'withdrawn', null)),
    finish: (operationId: string) => reachable(() => finishDeployment(sql, operationId)),
    openRows: (workflowId: string) => reachable(() => openRowsOf(sql, workflowId)),
    record: (transitions: readonly Transition[]) => reachable(() => recordTransitions(sql, transitions)),
    currentTicket: (hostUuid: string) => reachable(() => currentTicket(sql, hostUuid)),
    closeTicket: (hostUuid: string, operationId: string) => reachable(() => closeTicket(sql, hostUuid, operationId)),
    noteSteps: (steps: ReadonlyMap<string, { step: string; attempt: number }>) =>
      reachable(() => noteSteps(sql, steps)),
    network: (): Promise<FleetNetwork | null> => reachable(() => readNetwork(sql)),
    hostMembers: (hostUuid: string): Promise<HostMember[]> => reachable(() => readMembers(sql, hostUuid)),
    hostMember: async (hostUuid: string, name: string): Promise<HostMember | null> =>
      (await reachable(() => readMembers(sql, hostUuid, name)))[0] ?? null,
    options: async (operationId: string): Promise<RolloutOptions | null> =>
      (await reachable(() => loadRequest(sql, operationId)))?.options ?? null,
    openRowsOlderThan: (ageMs: number): Promise<OpenRow[]> => reachable(() => openRowsOlderThan(sql, ageMs)),
    openTicketsOlderThan: (ageMs: number): Promise<Ticket[]> => reachable(() => openTicketsOlderThan(sql, ageMs)),
    unfinished: (ageMs: number): Promise<UnfinishedOperation[]> => reachable(() => unfinishedOperations(sql, ageMs)),
  };
}

async function accept(sql: Sql, operationId: string): Promise<OperationAcceptance> {
  const outcome = await acceptRequest(sql, operationId);
  if (!outcome.accepted) return outcome;
  const parts = await sql<OperationPart[]>`
    select workflow_id as "workflowId", array_agg(decky_name order by position) as names, bool_or(operation = 'teardown') as removals
    from decky_lifecycle where deployment_id = ${operationId} and status in ('pending', 'running') group by workflow_id order by min(position)`;
  const [lane] = await sql<{ ahead: boolean; progress: number; moved: boolean }[]>`
    select exists (select from host_tickets mine join host_tickets a on a.host_uuid = mine.host_uuid and a.number < mine.number and a.closed_at is null
      where mine.operation_id = ${operationId}) as ahead, (options->>'progressDeadlineMs')::float8 as progress, network_moved as moved from deployments where id = ${operationId}`;
  return {
    accepted: true,
    parts: [...parts],
    turn: lane?.ahead === false,
    networkMoved: lane?.moved === true,
    progressDeadlineMs: lane?.progress ?? 0,
  };
}

const unfinishedOperations = (sql: Sql, ageMs: number): Promise<UnfinishedOperation[]> =>
  sql<UnfinishedOperation[]>`select id as "operationId", workflow_id as "workflowId", kind, state from deployments
    where ended_at is null and state in ('received', 'accepted') and received_at < now() - ${ageMs} * interval '1 millisecond' order by received_at`;
