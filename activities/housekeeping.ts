/**
 * What housekeeping asks of the rest: the sweep for what was lost, the intervals that admins set, rotations that are due, the daily
 * prune, and to send the outbox. The sweep's judgement is in operations/sweep.ts.
 */

import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Prunable } from '../adapters/postgres/upkeep.ts';
import { type ClockIntervals, rotationLookMs } from '../fleet/housekeeping.ts';
import type { OpenRow } from '../fleet/rows.ts';
import type { Sweep } from '../operations/sweep.ts';
import { withFailures } from './failures.ts';

export interface SweepActivities {
  findOrphans(): Promise<{ readonly restart: string[]; readonly lost: OpenRow[] }>;
  restartOperations(input: { operationIds: readonly string[] }): Promise<void>;
  /** Withdraws requests, closes tickets and ends deployments that no workflow will. */
  closeOrphans(): Promise<void>;
  /** Begins the pending teardowns of hosts that are back; returns for how many hosts. */
  resumeTeardowns(): Promise<number>;
}

/** The names of the activities stand in recorded histories. */
export const createSweepActivities = (sweep: Sweep): SweepActivities =>
  withFailures<SweepActivities>({
    findOrphans: () => sweep.findLost(),
    restartOperations: ({ operationIds }) => sweep.restart(operationIds),
    closeOrphans: () => sweep.closeLost(),
    resumeTeardowns: () => sweep.resumeTeardowns(),
  });

// --- Intervals that admins set; they change at any time ---

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

// --- Rotations ---

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

// --- The daily prune: what nobody needs any longer goes, in small transactions ---

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

// --- Events ---

export interface EventActivities {
  /** Sends the outbox in order, together with others of this worker that ask meanwhile; returns how many events the bus took. */
  publishTransitions(): Promise<number>;
}

/** Settles as a round of sending that begins after the call. */
export type Flush = (signal: AbortSignal) => Promise<number>;

export const createEventActivities = (flush: Flush): EventActivities =>
  withFailures<EventActivities>({ publishTransitions: () => flush(Context.current().cancellationSignal) });
