/** What activities need of PostgreSQL, over one pool: operations, rows, lanes, and what the sweep looks for. */

import type { FleetNetwork } from '../../fleet/config.ts';
import type { ErrorCode } from '../../fleet/errors.ts';
import type { DeckyState, Transition } from '../../fleet/lifecycle.ts';
import { boundedRollout, type RolloutOptions } from '../../fleet/limits.ts';
import { acceptRequest } from './accept.ts';
import { cleanedUp, oweCleanUp, owesCleanUp } from './clean-ups.ts';
import type { Queryable, Sql } from './connect.ts';
import { reachable } from './connect.ts';
import { closeRequest, finishDeployment, loadRequest, type OperationKind, type RequestState } from './deployments.ts';
import { type HostMember, keepNetwork, readMembers, readNetwork } from './fleet.ts';
import { noteSteps, type OpenRow, openRowsOf, openRowsOlderThan, recordTransitions, recordWith } from './lifecycle.ts';
import { closeTicket, currentTicket, openTicketsOlderThan, type Ticket } from './tickets.ts';

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

/** What the request, or the defaults, say of how hosts are treated. */
export type Rollout = Pick<
  RolloutOptions,
  'maxParallel' | 'minHealthyTimeMs' | 'healthyDeadlineMs' | 'progressDeadlineMs' | 'hostLostAfterMs'
>;

export interface Leaving {
  readonly hostUuid: string;
  readonly hostName: string;
  readonly reachable: boolean;
}

export type OperationAcceptance =
  | {
      readonly accepted: true;
      readonly parts: readonly OperationPart[];
      /** Whether the master's own lane is free. */
      readonly turn: boolean;
      /** What hangs on the old network must go first. */
      readonly networkMoved: boolean;
      readonly progressDeadlineMs: number;
      readonly rollout?: Rollout;
      /** A move: who the deckies leave, and whether that host can be reached. */
      readonly leaving?: Leaving;
    }
  | { readonly accepted: false; readonly code: ErrorCode; readonly detail: string };

/** An operation that PostgreSQL believes to be under way. */
export interface UnfinishedOperation {
  readonly operationId: string;
  readonly workflowId: string;
  readonly kind: OperationKind;
  readonly state: RequestState;
}

export type PostgresOperationStore = ReturnType<typeof createOperationStore>;

export function createOperationStore(sql: Sql) {
  return {
    accept: (operationId: string) => reachable(() => accept(sql, operationId)),
    withdraw: (operationId: string) => reachable(() => closeRequest(sql, operationId, 'withdrawn', null)),
    finish: (operationId: string, cancelled = false) => reachable(() => finishDeployment(sql, operationId, cancelled)),
    openRows: (workflowId: string) => reachable(() => openRowsOf(sql, workflowId)),
    record: (transitions: readonly Transition[]) => reachable(() => recordTransitions(sql, transitions)),
    /** Both in one transaction; `next` is the ticket whose turn it is then. */
    settle: (transitions: readonly Transition[], release: { hostUuid: string; operationId: string } | null) =>
      reachable(() =>
        recordWith(sql, transitions, async (tx, moved) => ({
          moved,
          next: release ? await closeTicket(tx, release.hostUuid, release.operationId) : null,
        })),
      ),
    currentTicket: (hostUuid: string) => reachable(() => currentTicket(sql, hostUuid)),
    closeTicket: (hostUuid: string, operationId: string) => reachable(() => closeTicket(sql, hostUuid, operationId)),
    noteSteps: (steps: ReadonlyMap<string, { step: string | null; attempt: number }>) =>
      reachable(() => noteSteps(sql, steps)),
    oweCleanUp: (deckyName: string): Promise<void> => reachable(() => oweCleanUp(sql, deckyName)),
    owesCleanUp: (deckyName: string): Promise<boolean> => reachable(() => owesCleanUp(sql, deckyName)),
    cleanedUp: (deckyName: string, seen: DeckyState): Promise<void> => reachable(() => cleanedUp(sql, deckyName, seen)),
    network: (): Promise<FleetNetwork | null> => reachable(() => readNetwork(sql)),
    keepNetwork: (kept: FleetNetwork, given: FleetNetwork): Promise<void> =>
      reachable(() => keepNetwork(sql, kept, given)),
    hostMembers: (hostUuid: string): Promise<HostMember[]> => reachable(() => readMembers(sql, hostUuid)),
    hostMember: async (hostUuid: string, name: string): Promise<HostMember | null> =>
      (await reachable(() => readMembers(sql, hostUuid, name)))[0] ?? null,
    options: async (operationId: string): Promise<RolloutOptions> =>
      boundedRollout((await reachable(() => loadRequest(sql, operationId)))?.options),
    openRowsOlderThan: (ageMs: number): Promise<OpenRow[]> => reachable(() => openRowsOlderThan(sql, ageMs)),
    openTicketsOlderThan: (ageMs: number): Promise<Ticket[]> => reachable(() => openTicketsOlderThan(sql, ageMs)),
    unfinished: (ageMs: number): Promise<UnfinishedOperation[]> => reachable(() => unfinishedOperations(sql, ageMs)),
  };
}

const LANE_IS_TAKEN = (sql: Queryable, host: ReturnType<Sql>) => sql`
  exists (select from host_tickets mine join host_tickets a on a.host_uuid = mine.host_uuid and a.number < mine.number and a.closed_at is null
    where mine.operation_id = d.id and mine.host_uuid = ${host})`;

const partsOf = (sql: Sql, operationId: string) => sql<(OperationPart & { turn: boolean })[]>`
  select l.workflow_id as "workflowId", array_agg(l.decky_name order by l.position) as names, bool_or(l.operation = 'teardown') as removals,
    l.host_uuid as "hostUuid", h.name as "hostName", not ${LANE_IS_TAKEN(sql, sql`coalesce(l.host_uuid, 'local')`)} as turn
  from decky_lifecycle l join deployments d on d.id = l.deployment_id left join swarm_hosts h on h.uuid = l.host_uuid
  where l.deployment_id = ${operationId} and l.status in ('pending', 'running') group by d.id, l.workflow_id, l.host_uuid, h.name order by min(l.position)`;

const termsOf = (sql: Sql, operationId: string) => sql<
  { options: RolloutOptions; moved: boolean; leaving: Leaving | null }[]
>`
  select options, network_moved as moved, case when h.uuid is null then null else
    jsonb_build_object('hostUuid', h.uuid, 'hostName', h.name, 'reachable', h.status <> 'unreachable') end as leaving
  from deployments d left join swarm_hosts h on d.kind = 'move' and h.uuid = d.request->>'host_uuid' where id = ${operationId}`;

async function accept(sql: Sql, operationId: string): Promise<OperationAcceptance> {
  const outcome = await acceptRequest(sql, operationId);
  if (!outcome.accepted) return outcome;
  const [parts, [request]] = await Promise.all([partsOf(sql, operationId), termsOf(sql, operationId)]);
  const { maxParallel, minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs, hostLostAfterMs } = boundedRollout(
    request?.options,
  );
  return {
    accepted: true,
    parts: [...parts],
    turn: parts.find((part) => !part.hostUuid)?.turn ?? true,
    networkMoved: request?.moved === true,
    progressDeadlineMs,
    rollout: { maxParallel, minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs, hostLostAfterMs },
    ...(request?.leaving ? { leaving: request.leaving } : {}),
  };
}

const unfinishedOperations = (sql: Sql, ageMs: number): Promise<UnfinishedOperation[]> =>
  sql<UnfinishedOperation[]>`select id as "operationId", workflow_id as "workflowId", kind, state from deployments
    where ended_at is null and state in ('received', 'accepted') and received_at < now() - ${ageMs} * interval '1 millisecond' order by received_at`;
