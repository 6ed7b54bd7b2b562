/** What the sweep asks: which rows nobody works on, and to have accepted work begun again. */

import type { Ticket } from '../adapters/postgres/tickets.ts';
import { fitting } from '../fleet/limits.ts';
import type { OpenRow } from '../fleet/rows.ts';
import type { UnfinishedOperation } from '../operations/operation-store.ts';
import type { OwedTeardowns } from '../operations/owed-requests.ts';
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

/** Rows that one sweep ends as lost, if so many fit into a payload of Temporal's. The next minute goes on. */
const MOST_LOST = 1_000;
/** Hosts that have those rows: each is asked by an activity, and the history of housekeeping has room for so many (fleet/limits.ts). */
const MOST_LOST_HOSTS = 200;
/** Questions to Temporal at the same time. */
const AT_ONCE = 20;
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
  /** The states of these workflows, some at a time: one after another a sweep of many would outlast its time-out. */
  async function statesOf(workflowIds: Iterable<string>): Promise<ReadonlyMap<string, WorkflowState>> {
    const ids = [...new Set(workflowIds)];
    const states = new Map<string, WorkflowState>();
    await atMost(AT_ONCE, ids, async (id) => void states.set(id, await workflowState(id)));
    return states;
  }

  async function findOrphans(): Promise<{ restart: string[]; lost: OpenRow[] }> {
    const rows = await store.openRowsOlderThan(ROW_GRACE_MS);
    const operations = new Map((await store.unfinished(0)).map((operation) => [operation.operationId, operation]));
    const workflowOf = new Map<string, string>();
    for (const { deploymentId, workflowId } of rows)
      if (!workflowOf.has(deploymentId))
        workflowOf.set(deploymentId, operations.get(deploymentId)?.workflowId ?? workflowId);
    const states = await statesOf(workflowOf.values());
    const isIn = (state: WorkflowState, deploymentId: string): boolean =>
      states.get(workflowOf.get(deploymentId) ?? '') === state;
    const restart = [...workflowOf.keys()].filter((id) => isIn('unknown', id)).slice(0, MOST_LOST);
    const lost = ofFewHosts(rows.filter((row) => isIn('closed', row.deploymentId))).slice(0, MOST_LOST);
    return { restart, lost: lost.slice(0, fitting(lost, MOST_LOST)) };
  }

  async function closeOrphans(): Promise<void> {
    const old = await store.unfinished(REQUEST_GRACE_MS);
    const before = await statesOf(old.map((operation) => operation.workflowId));
    for (const operation of old) {
      const state = before.get(operation.workflowId);
      if (state !== 'closed' && state !== 'unknown') continue;
      if (operation.state === 'received') await store.withdraw(operation.operationId);
      else await store.finish(operation.operationId);
    }
    // What is left unfinished has open rows, so that its ticket is needed still.
    const unfinished = new Map((await store.unfinished(0)).map((one) => [one.operationId, one.workflowId]));
    const needed = new Set(unfinished.keys());
    // One question for each operation, not one for each of its hosts: a deployment that runs closes its tickets itself.
    const states = await statesOf(unfinished.values());
    const runs = ({ operationId }: Ticket): boolean => states.get(unfinished.get(operationId) ?? '') === 'running';
    const tickets = (await store.openTicketsOlderThan(ROW_GRACE_MS)).filter((ticket) => !runs(ticket));
    const holders = await statesOf(tickets.map((ticket) => ticket.workflowId));
    for (const ticket of tickets) {
      const state = holders.get(ticket.workflowId);
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
      const asked = new Set(operationIds);
      const operations = (await store.unfinished(0)).filter(({ operationId }) => asked.has(operationId));
      await atMost(AT_ONCE, operations, restart);
    },
    resumeTeardowns: async () => {
      const hosts = await owed.hostsBack(BACK_MS);
      await atMost(AT_ONCE, hosts, async (host) => begin(await owed.request(host)));
      return hosts.length;
    },
  });
}

/** The rows of the first hosts, and of the master's own engine. */
export function ofFewHosts(rows: readonly OpenRow[], most = MOST_LOST_HOSTS): OpenRow[] {
  const hosts = new Set<string>();
  return rows.filter(({ hostUuid }) => {
    if (hostUuid !== null && hosts.size < most) hosts.add(hostUuid);
    return hostUuid === null || hosts.has(hostUuid);
  });
}

/** All of the items, `width` at a time. The first failure ends it. */
async function atMost<T>(width: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
