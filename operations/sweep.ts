/**
 * The sweep: operations that no workflow works on any more. What is lost, and what has to be done, are pure judgements of what
 * PostgreSQL has open and what Temporal says of its workflows. docs/states/row.md has the rows' side.
 *
 * - {@link judgeRows}: operations to start again, and rows to end as lost.
 * - {@link judgeRequests}: requests to withdraw, and deployments to finish.
 * - {@link judgeTickets}: lanes that nobody will release.
 * - {@link createSweep}: reads, judges, and has it done.
 */
import type { Ticket } from '../adapters/postgres/tickets.ts';
import { questionKey } from '../fleet/hosts.ts';
import { fitting } from '../fleet/limits.ts';
import type { OpenRow } from '../fleet/rows.ts';
import type { PendingTeardowns } from './pending-teardowns.ts';
import type { UnfinishedOperation } from './store.ts';

/** `closed`: ended at least a grace ago; `settling`: ended just now; `unknown`: Temporal has never heard of it. */
export type WorkflowState = 'running' | 'settling' | 'closed' | 'unknown';

/** States of workflows by their ids. */
export type WorkflowStates = ReadonlyMap<string, WorkflowState>;

/** Rows that one sweep ends as lost, if so many fit into a payload of Temporal's. The next minute goes on. */
const MOST_LOST = 1_000;
/** Workflows on hosts that had those rows: a host is asked about each by an activity, and housekeeping's history has room for so many. */
const MOST_QUESTIONS = 200;
/** Questions to Temporal at the same time. */
const AT_ONCE = 20;
/** A row this young may belong to a workflow that is just being started. */
const ROW_GRACE_MS = 15_000;
/** Longer than a workflow waits to be accepted (50 s), so that a slow acceptance is never cut off. */
const REQUEST_GRACE_MS = 120_000;
/** A host that gave a sign of life within this time is back. */
const BACK_MS = 60_000;

/** The workflow that answers for each deployment with open rows: the deployment's own, or else that of its first row. */
export function workflowsOf(
  rows: readonly OpenRow[],
  unfinished: readonly UnfinishedOperation[],
): ReadonlyMap<string, string> {
  const known = new Map(unfinished.map(({ operationId, workflowId }) => [operationId, workflowId]));
  const workflows = new Map<string, string>();
  for (const { deploymentId, workflowId } of rows)
    if (!workflows.has(deploymentId)) workflows.set(deploymentId, known.get(deploymentId) ?? workflowId);
  return workflows;
}

/** A workflow that Temporal does not know is started again. The rows of one that has closed are lost. */
export function judgeRows(
  rows: readonly OpenRow[],
  workflows: ReadonlyMap<string, string>,
  states: WorkflowStates,
): { readonly restart: string[]; readonly lost: OpenRow[] } {
  const isIn = (state: WorkflowState, deploymentId: string): boolean =>
    states.get(workflows.get(deploymentId) ?? '') === state;
  const restart = [...workflows.keys()].filter((id) => isIn('unknown', id)).slice(0, MOST_LOST);
  const lost = withFewQuestions(rows.filter((row) => isIn('closed', row.deploymentId))).slice(0, MOST_LOST);
  return { restart, lost: lost.slice(0, fitting(lost, MOST_LOST)) };
}

/** The rows of the first workflows on hosts, and those of the master's own engine. */
export function withFewQuestions(rows: readonly OpenRow[], most = MOST_QUESTIONS): OpenRow[] {
  const questions = new Set<string>();
  return rows.filter((row) => {
    if (row.hostUuid === null) return true;
    const question = questionKey(row);
    if (questions.size < most) questions.add(question);
    return questions.has(question);
  });
}

/** Old requests without a workflow: one that nobody accepted is withdrawn, an accepted one is finished. */
export function judgeRequests(
  old: readonly UnfinishedOperation[],
  states: WorkflowStates,
): { readonly withdraw: string[]; readonly finish: string[] } {
  const left = old.filter(({ workflowId }) => ['closed', 'unknown'].includes(states.get(workflowId) ?? ''));
  const idsOf = (isReceived: boolean) =>
    left.filter(({ state }) => (state === 'received') === isReceived).map(({ operationId }) => operationId);
  return { withdraw: idsOf(true), finish: idsOf(false) };
}

/** An operation that runs closes its tickets itself, so only the other ones' holders are looked at. */
export function ticketsInDoubt(
  tickets: readonly Ticket[],
  unfinished: readonly UnfinishedOperation[],
  states: WorkflowStates,
): Ticket[] {
  const workflows = new Map(unfinished.map(({ operationId, workflowId }) => [operationId, workflowId]));
  return tickets.filter(({ operationId }) => states.get(workflows.get(operationId) ?? '') !== 'running');
}

/** A ticket of an unfinished operation is needed until its workflow has closed, and nobody takes one from a workflow that runs. */
export function judgeTickets(
  inDoubt: readonly Ticket[],
  unfinished: readonly UnfinishedOperation[],
  holders: WorkflowStates,
): Ticket[] {
  const needed = new Set(unfinished.map(({ operationId }) => operationId));
  return inDoubt.filter(({ operationId, workflowId }) => {
    const state = holders.get(workflowId);
    return state !== 'running' && (state === 'closed' || !needed.has(operationId));
  });
}

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
  readonly signalTurn: (ticket: Ticket) => Promise<void>;
  readonly pending: PendingTeardowns;
  /** Starts the workflow of a request that nobody waits for. */
  readonly begin: (operation: UnfinishedOperation) => Promise<void>;
}

export interface Sweep {
  findLost(): Promise<{ readonly restart: string[]; readonly lost: OpenRow[] }>;
  restart(operationIds: readonly string[]): Promise<void>;
  /** Withdraws requests, closes tickets and ends deployments that no workflow will. */
  closeLost(): Promise<void>;
  /** Begins the pending teardowns of hosts that are back; returns for how many hosts. */
  resumeTeardowns(): Promise<number>;
}

export function createSweep(dependencies: SweepDependencies): Sweep {
  const { store, workflowState, signalTurn, pending, begin } = dependencies;

  /** Some at a time: one after another a sweep of many would outlast its time-out. */
  async function statesOf(workflowIds: Iterable<string>): Promise<WorkflowStates> {
    const states = new Map<string, WorkflowState>();
    await atMost(AT_ONCE, [...new Set(workflowIds)], async (id) => void states.set(id, await workflowState(id)));
    return states;
  }
  const statesOfOperations = (operations: readonly UnfinishedOperation[]) =>
    statesOf(operations.map(({ workflowId }) => workflowId));

  async function closeRequests(): Promise<void> {
    const old = await store.unfinished(REQUEST_GRACE_MS);
    const { withdraw, finish } = judgeRequests(old, await statesOfOperations(old));
    for (const id of withdraw) await store.withdraw(id);
    for (const id of finish) await store.finish(id);
  }

  async function closeTickets(): Promise<void> {
    // What is left unfinished has open rows, so that its ticket is needed still.
    const unfinished = await store.unfinished(0);
    const states = await statesOfOperations(unfinished);
    const inDoubt = ticketsInDoubt(await store.openTicketsOlderThan(ROW_GRACE_MS), unfinished, states);
    const holders = await statesOf(inDoubt.map(({ workflowId }) => workflowId));
    for (const { hostUuid, operationId } of judgeTickets(inDoubt, unfinished, holders)) {
      const next = await store.closeTicket(hostUuid, operationId);
      if (next) await signalTurn(next);
    }
  }

  return {
    findLost: async () => {
      const rows = await store.openRowsOlderThan(ROW_GRACE_MS);
      const workflows = workflowsOf(rows, await store.unfinished(0));
      return judgeRows(rows, workflows, await statesOf(workflows.values()));
    },
    restart: async (operationIds) => {
      const asked = new Set(operationIds);
      const operations = (await store.unfinished(0)).filter(({ operationId }) => asked.has(operationId));
      await atMost(AT_ONCE, operations, dependencies.restart);
    },
    closeLost: async () => {
      await closeRequests();
      await closeTickets();
    },
    resumeTeardowns: async () => {
      const hosts = await pending.hostsBack(BACK_MS);
      await atMost(AT_ONCE, hosts, async (host) => begin(await pending.storeRequest(host)));
      return hosts.length;
    },
  };
}

/** All of the items, `width` at a time. The first failure ends it. */
async function atMost<T>(width: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
