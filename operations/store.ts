/** What activities need of PostgreSQL, over one pool: operations, rows, lanes, and what the sweep looks for. */

import { reachable, type Sql } from '../adapters/postgres/connect.ts';
import { closeRequest, finishDeployment, loadRequest } from '../adapters/postgres/deployments.ts';
import { type HostMember, keepNetwork, readMembers, readNetwork } from '../adapters/postgres/fleet.ts';
import { cleanedUp, isCleanUpPending, notePendingCleanUp } from '../adapters/postgres/pending-work.ts';
import { noteSteps, openRowsOf, openRowsOlderThan, recordTransitions, recordWith } from '../adapters/postgres/rows.ts';
import { closeTicket, currentTicket, openTicketsOlderThan, type Ticket } from '../adapters/postgres/tickets.ts';
import type { FleetNetwork } from '../fleet/config.ts';
import type { ErrorCode } from '../fleet/errors.ts';
import type { DeckyState, RequestKind, RequestState, Transition } from '../fleet/lifecycle.ts';
import { boundedRollout, HOSTS_PER_GROUP, type RolloutOptions } from '../fleet/limits.ts';
import type { OpenRow } from '../fleet/rows.ts';
import { acceptRequest } from './acceptance.ts';
import { endHosts, type HostsEnd, type OperationPart, partsOf } from './operation-parts.ts';

/** What the request, or the defaults, say of how hosts are treated. */
export type RolloutTerms = Pick<
  RolloutOptions,
  'maxParallel' | 'minHealthyTimeMs' | 'healthyDeadlineMs' | 'progressDeadlineMs' | 'hostLostAfterMs'
>;

export interface Leaving {
  readonly hostUuid: string;
  readonly hostName: string;
  readonly reachable: boolean;
  /** Its deckies that move, where the parts do not name them. */
  readonly names?: readonly string[];
}

export type OperationAcceptance =
  | {
      readonly accepted: true;
      readonly parts: readonly OperationPart[];
      /**
       * Hosts of an operation with very many, in place of their parts: all parts of ten thousand hosts are more than Temporal takes in
       * one payload.
       */
      readonly hostUuids?: readonly string[];
      /** Whether the master's own lane is free. */
      readonly turn: boolean;
      /** What hangs on the old network must go first. */
      readonly networkMoved: boolean;
      readonly progressDeadlineMs: number;
      readonly rollout?: RolloutTerms;
      /** A move: who the deckies leave, and whether that host can be reached. */
      readonly leaving?: Leaving;
    }
  | { readonly accepted: false; readonly code: ErrorCode; readonly detail: string };

/** An operation that PostgreSQL believes to be under way. */
export interface UnfinishedOperation {
  readonly operationId: string;
  readonly workflowId: string;
  readonly kind: RequestKind;
  readonly state: RequestState;
}

export type PostgresOperationStore = ReturnType<typeof createOperationStore>;

export function createOperationStore(sql: Sql) {
  return {
    accept: (operationId: string, hostsPerGroup = HOSTS_PER_GROUP) =>
      reachable(() => accept(sql, operationId, hostsPerGroup)),
    hostParts: async (operationId: string, hostUuids: readonly string[]): Promise<OperationPart[]> => [
      ...(await reachable(() => partsOf(sql, operationId, hostUuids))),
    ],
    endHosts: (end: HostsEnd) => reachable(() => endHosts(sql, end)),
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
    notePendingCleanUp: (deckyName: string): Promise<void> => reachable(() => notePendingCleanUp(sql, deckyName)),
    isCleanUpPending: (deckyName: string): Promise<boolean> => reachable(() => isCleanUpPending(sql, deckyName)),
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

const termsOf = (sql: Sql, operationId: string) => sql<
  { options: RolloutOptions; moved: boolean; leaving: Leaving | null }[]
>`
  select options, network_moved as moved, case when h.uuid is null then null else
    jsonb_build_object('hostUuid', h.uuid, 'hostName', h.name, 'reachable', h.status <> 'unreachable') end as leaving
  from deployments d left join swarm_hosts h on d.kind = 'move' and h.uuid = d.request->>'host_uuid' where id = ${operationId}`;

async function accept(sql: Sql, operationId: string, hostsPerGroup: number): Promise<OperationAcceptance> {
  const outcome = await acceptRequest(sql, operationId);
  if (!outcome.accepted) return outcome;
  const [parts, [request]] = await Promise.all([partsOf(sql, operationId), termsOf(sql, operationId)]);
  const { maxParallel, minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs, hostLostAfterMs } = boundedRollout(
    request?.options,
  );
  const local = parts.filter((part) => !part.hostUuid);
  const hosts = parts.filter((part) => part.hostUuid);
  const isMany = hosts.length > 0 && parts.length > hostsPerGroup;
  const leaving = request?.leaving;
  return {
    accepted: true,
    ...(isMany ? { parts: local, hostUuids: hosts.map((part) => part.hostUuid ?? '') } : { parts: [...parts] }),
    turn: parts.find((part) => !part.hostUuid)?.turn ?? true,
    networkMoved: request?.moved === true,
    progressDeadlineMs,
    rollout: { maxParallel, minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs, hostLostAfterMs },
    ...(leaving ? { leaving: isMany ? { ...leaving, names: hosts.flatMap((part) => part.names) } : leaving } : {}),
  };
}

const unfinishedOperations = (sql: Sql, ageMs: number): Promise<UnfinishedOperation[]> =>
  sql<UnfinishedOperation[]>`select id as "operationId", workflow_id as "workflowId", kind, state from deployments
    where ended_at is null and state in ('received', 'accepted') and received_at < now() - ${ageMs} * interval '1 millisecond' order by received_at`;
