/** What the sweep asks: which rows nobody works on, and to have accepted work begun again. */
import type { OpenRow } from '../adapters/postgres/lifecycle.ts';
import type { UnfinishedOperation } from '../adapters/postgres/operation-store.ts';
import type { OwedTeardowns } from '../adapters/postgres/owed-requests.ts';
import type { Ticket } from '../adapters/postgres/tickets.ts';
import type { SignalTurn } from './deployments.ts';
import { withFailures } from './failures.ts';

/** `closed`: ended at least a grace ago; `settling`: ended just now; `unknown`: Temporal has never heard of it. */
export type WorkflowState = 'running' | 'settling' | 'closed' | 'unknown';

export interface SweepDependencies {
  readonly store: {
    openRowsOlderThan(ageMs: number): Promise<OpenRow[]>;
    openTicketsOlderThan(ageMs: number): Promise<Ticket[]>;
    unfinished(ageMs: number): Promise<UnfinishedOperation[]>;
    withdraw(operationId: string): Promise<unknown>;
    finish(operationId: string): Promise<unknown>;
    closeTicket(hostUuid: string, operationId: string): Promise<Ticket | null>;
  };
  readonly workflowState: (workflowId: string) => Promise<WorkflowState>;
  /** Starts the workflow of an accepted operation again; one that runs already is left alone. */
  readonly restart: (operation: UnfinishedOperation) => Promise<void>;
  readonly signalTurn: SignalTurn;
  readonly owed: OwedTeardowns;
  /** Starts the workflow of a request that nobody waits for. */
  readonly begin: (operation: UnfinishedOperation) => Promise<void>;
}

export interface SweepActivities {
  findOrphans(): Promise<{ restart: string[]; lost: OpenRow[] }>;
  restartOperations(input: { operationIds: readonly string[] }): Promise<void>;
  /** Withdraws requests, closes tickets and ends deployments that no workflow will. */
  closeOrphans(): Promise<void>;
  /** Begins the teardowns that hosts owe which are back; says for how many hosts. */
  resumeTeardowns(): Promise<number>;
}

/** Rows that one sweep ends as lost: their texts have to fit into one payload of Temporal's (2 MiB). The next minute goes on. */
const MOST_LOST = 1_000;
/** A row this young may belong to a workflow that is just being started. */
const ROW_GRACE_MS = 15_000;
/** Longer than a workflow waits to be accepted (50 s), so that a slow acceptance is never cut off. */
const REQUEST_GRACE_MS = 120_000;
/** A host that gave a sign of life so long ago at most is there. */
const BACK_MS = 60_000;

export function createSweepActivities({
  store,
  workflowState,
  restart,
  signalTurn,
  owed,
  begin,
}: SweepDependencies): SweepActivities {
  async function findOrphans(): Promise<{ restart: string[]; lost: OpenRow[] }> {
    const rows = await store.openRowsOlderThan(ROW_GRACE_MS);
    const operations = new Map((await store.unfinished(0)).map((operation) => [operation.operationId, operation]));
    const restartIds: string[] = [];
    const lost: OpenRow[] = [];
    for (const id of new Set(rows.map((row) => row.deploymentId))) {
      const workflowId = operations.get(id)?.workflowId ?? rows.find((row) => row.deploymentId === id)?.workflowId;
      const state = workflowId ? await workflowState(workflowId) : 'closed';
      if (state === 'unknown') restartIds.push(id);
      if (state === 'closed') lost.push(...rows.filter((row) => row.deploymentId === id));
    }
    return { restart: restartIds, lost: lost.slice(0, MOST_LOST) };
  }

  async function closeOrphans(): Promise<void> {
    for (const operation of await store.unfinished(REQUEST_GRACE_MS)) {
      const state = await workflowState(operation.workflowId);
      if (state !== 'closed' && state !== 'unknown') continue;
      if (operation.state === 'received') await store.withdraw(operation.operationId);
      else await store.finish(operation.operationId);
    }
    // What is left unfinished has open rows, so that its ticket is needed still.
    const unfinished = new Map((await store.unfinished(0)).map((one) => [one.operationId, one.workflowId]));
    const needed = new Set(unfinished.keys());
    // One question for each operation, not one for each of its hosts: a deployment that runs closes its tickets itself.
    const running = new Set<string>();
    for (const [operationId, workflowId] of unfinished)
      if ((await workflowState(workflowId)) === 'running') running.add(operationId);
    for (const ticket of await store.openTicketsOlderThan(ROW_GRACE_MS)) {
      if (running.has(ticket.operationId)) continue;
      const state = await workflowState(ticket.workflowId);
      if (needed.has(ticket.operationId) && state !== 'closed') continue;
      if (state === 'running') continue;
      const next = await store.closeTicket(ticket.hostUuid, ticket.operationId);
      if (next) await signalTurn(next);
    }
  }

  return withFailures<SweepActivities>({
    findOrphans,
    closeOrphans,
    restartOperations: async ({ operationIds }) => {
      for (const operation of await store.unfinished(0))
        if (operationIds.includes(operation.operationId)) await restart(operation);
    },
    resumeTeardowns: async () => {
      const hosts = await owed.hostsBack(BACK_MS);
      for (const host of hosts) await begin(await owed.request(host));
      return hosts.length;
    },
  });
}
