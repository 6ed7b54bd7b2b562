/** What the sweep asks: which rows nobody works on, and to have accepted work begun again. */

import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Ticket } from '../adapters/postgres/tickets.ts';
import type { Prunable } from '../adapters/postgres/upkeep.ts';
import { type ClockIntervals, rotationLookMs } from '../fleet/housekeeping.ts';
import { fitting } from '../fleet/limits.ts';
import type { OpenRow } from '../fleet/rows.ts';
import type { OwedTeardowns } from '../operations/owed-requests.ts';
import type { UnfinishedOperation } from '../operations/store.ts';
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

/** What housekeeping asks about the intervals that admins set; they change at any time. */

export interface ClockStore {
  /** Minutes of the global interval; null where no decky inherits it. */
  inheritedMinutes(): Promise<number | null>;
  /** Milliseconds; null: nothing is mended by the clock. */
  reconcileMs(): Promise<number | null>;
}

export interface ClockActivities {
  readIntervals(): Promise<ClockIntervals>;
}

export const createClockActivities = (store: ClockStore): ClockActivities =>
  withFailures<ClockActivities>({
    readIntervals: async () => {
      const [minutes, reconcileMs] = await Promise.all([store.inheritedMinutes(), store.reconcileMs()]);
      return { rotateMs: minutes === null ? null : rotationLookMs(minutes), reconcileMs };
    },
  });

/** What rotations ask of PostgreSQL. */

/** The store as these activities need it; adapters/postgres/clock-requests.ts implements it. */
export interface Rotating {
  due(limit: number): Promise<string[]>;
  store(input: { operationId: string; deckyName: string }): Promise<void>;
  noteSkip(input: { operationId: string; deckyName: string; reason: string }): Promise<void>;
}

export interface RotationActivities {
  /** Deckies that inherit the global interval and are due, by name. */
  dueRotations(input: { limit: number }): Promise<string[]>;
  /** Stores the request that the mutation then accepts; safe to repeat. */
  storeRotation(input: { operationId: string; deckyName: string }): Promise<void>;
  noteSkip(input: { operationId: string; deckyName: string; reason: string }): Promise<void>;
}

export const createRotationActivities = (store: Rotating): RotationActivities =>
  withFailures<RotationActivities>({
    dueRotations: ({ limit }) => store.due(limit),
    storeRotation: (input) => store.store(input),
    noteSkip: (input) => store.noteSkip(input),
  });

/** What the daily prune asks of PostgreSQL: to remove what nobody needs any longer, in small transactions. */

export interface PruneActivities {
  /** Rows removed by table; repeating it goes on where it stopped. Fails at its end when a table could not be pruned. */
  pruneRecords(): Promise<Record<string, number>>;
}

export const createPruneActivities = (prunables: readonly Prunable[]): PruneActivities =>
  withFailures<PruneActivities>({
    async pruneRecords() {
      const removed: Record<string, number> = {};
      const failures: string[] = [];
      for (const prunable of prunables) {
        try {
          removed[prunable.table] = await pruneTable(prunable);
        } catch (error) {
          Context.current().cancellationSignal.throwIfAborted();
          // One table that can't be pruned is no reason to let the others grow.
          failures.push(`${prunable.table}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      if (failures.length > 0) throw ApplicationFailure.create({ type: 'Unavailable', message: failures.join('; ') });
      return removed;
    },
  });

async function pruneTable({ table, batch, remove }: Prunable): Promise<number> {
  const { heartbeat, cancellationSignal } = Context.current();
  let removed = 0;
  for (;;) {
    cancellationSignal.throwIfAborted();
    heartbeat({ table, removed });
    const count = await remove(batch);
    removed += count;
    if (count < batch) return removed;
  }
}

/** What workflows ask of the bus: to send what the outbox holds. */

export interface EventActivities {
  /** Sends the outbox in order, together with others of this worker that ask meanwhile; returns how many events the bus took. */
  publishTransitions(): Promise<number>;
}

/** Settles as a round of sending that begins after the call. */
export type Flush = (signal: AbortSignal) => Promise<number>;

export const createEventActivities = (flush: Flush): EventActivities =>
  withFailures<EventActivities>({ publishTransitions: () => flush(Context.current().cancellationSignal) });
