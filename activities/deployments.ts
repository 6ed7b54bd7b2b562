/** What workflows ask of PostgreSQL: requests, rows and lanes. */
import { ApplicationFailure } from '@temporalio/activity';
import type { Finished } from '../adapters/postgres/deployments.ts';
import type { Ticket } from '../adapters/postgres/tickets.ts';
import type { Outcome, RequestState, Transition } from '../fleet/lifecycle.ts';
import type { OpenRow } from '../fleet/rows.ts';
import type { HostsEnd, HostsEnded, OperationPart } from '../operations/operation-parts.ts';
import type { OperationAcceptance } from '../operations/store.ts';
import { withFailures } from './failures.ts';

export type Acceptance = OperationAcceptance;

/** The store as these activities need it; operations/store.ts implements it. */
export interface OperationStore {
  accept(operationId: string, hostsPerGroup?: number): Promise<Acceptance>;
  hostParts(operationId: string, hostUuids: readonly string[]): Promise<OperationPart[]>;
  endHosts(end: HostsEnd): Promise<HostsEnded>;
  withdraw(operationId: string): Promise<RequestState | null>;
  finish(operationId: string, cancelled: boolean): Promise<Finished>;
  openRows(workflowId: string): Promise<OpenRow[]>;
  record(transitions: readonly Transition[]): Promise<string[]>;
  currentTicket(hostUuid: string): Promise<Ticket | null>;
  notePendingCleanUp(deckyName: string): Promise<void>;
  closeTicket(hostUuid: string, operationId: string): Promise<Ticket | null>;
  settle(
    transitions: readonly Transition[],
    release: { hostUuid: string; operationId: string } | null,
  ): Promise<{ readonly moved: readonly string[]; readonly next: Ticket | null }>;
}

/** Tells a workflow that it is its turn; a workflow that is gone is no error, since the lane's safety net finds out. */
export type SignalTurn = (ticket: Ticket) => Promise<void>;

export interface DeploymentActivities {
  acceptDeployment(input: { operationId: string; hostsPerGroup?: number }): Promise<Acceptance>;
  /** What the operation has open on these hosts. */
  hostParts(input: { operationId: string; hostUuids: readonly string[] }): Promise<OperationPart[]>;
  /** Ends what the operation has open on these hosts as failed, and gives their lanes to the next. Returns how all its rows there ended. */
  endHosts(input: HostsEnd): Promise<{ succeeded: number; failed: number }>;
  withdrawDeployment(input: { operationId: string }): Promise<RequestState | null>;
  /** Ends the deployment once all its rows have; null: some are open. `cancelled`: the workflow was asked to end. */
  finishDeployment(input: { operationId: string; cancelled?: boolean }): Promise<Outcome | null>;
  openRows(input: { workflowId: string }): Promise<OpenRow[]>;
  /** Returns how many rows moved; the others were there already. */
  recordTransitions(input: { transitions: readonly Transition[] }): Promise<number>;
  /** What the engine has of this decky after a failure was not put right: the look tries again. */
  oweCleanUp(input: { deckyName: string }): Promise<void>;
  /** Fails, to be tried again, as long as it is not the operation's turn on the host. */
  awaitTurn(input: { hostUuid: string; operationId: string }): Promise<void>;
  /** Writes what ended of a shard and, with `release`, gives the host's lane to the next operation. Returns how many rows moved. */
  settleShard(input: {
    transitions: readonly Transition[];
    release?: { hostUuid: string; operationId: string };
  }): Promise<number>;
  /** Closes the operation's ticket and signals the workflow whose turn it is now. */
  releaseLane(input: { hostUuid: string; operationId: string }): Promise<void>;
}

/** `notify` tells the outbox relay that there are events; it returns at once. */
export function createDeploymentActivities(
  store: OperationStore,
  signalTurn: SignalTurn,
  notify: () => void,
): DeploymentActivities {
  return withFailures<DeploymentActivities>({
    acceptDeployment: ({ operationId, hostsPerGroup }) => store.accept(operationId, hostsPerGroup),
    hostParts: ({ operationId, hostUuids }) => store.hostParts(operationId, hostUuids),
    endHosts: async (end) => {
      const { next, succeeded, failed } = await store.endHosts(end);
      notify();
      for (const ticket of next) await signalTurn(ticket);
      return { succeeded, failed };
    },
    withdrawDeployment: ({ operationId }) => store.withdraw(operationId),
    finishDeployment: async ({ operationId, cancelled = false }) =>
      (await store.finish(operationId, cancelled)).outcome,
    openRows: ({ workflowId }) => store.openRows(workflowId),
    recordTransitions: async ({ transitions }) => {
      const moved = await store.record(transitions);
      if (moved.length > 0) notify();
      return moved.length;
    },
    oweCleanUp: ({ deckyName }) => store.notePendingCleanUp(deckyName),
    awaitTurn: async ({ hostUuid, operationId }) => {
      const current = await store.currentTicket(hostUuid);
      if (current && current.operationId !== operationId)
        throw ApplicationFailure.create({
          type: 'NotYet',
          message: `ticket ${current.number} of ${current.workflowId} comes first`,
          category: 'BENIGN',
        });
    },
    settleShard: async ({ transitions, release }) => {
      const { moved, next } = await store.settle(transitions, release ?? null);
      if (moved.length > 0) notify();
      if (next) await signalTurn(next);
      return moved.length;
    },
    releaseLane: async ({ hostUuid, operationId }) => {
      const next = await store.closeTicket(hostUuid, operationId);
      if (next) await signalTurn(next);
    },
  });
}
