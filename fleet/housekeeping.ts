/**
 * What one workflow, `housekeeping/<task queue>`, does again and again. Temporal keeps each closed run in its list for 30 days,
 * so it does many rounds in one run: an idle day adds a handful of runs, and operators find their work.
 */

/** Why a workflow runs, as the search attribute `DeckhandKind`: somebody's operation, or the product's own rounds. */
export const WORKFLOW_KIND = Object.freeze({ work: 'work', housekeeping: 'housekeeping' });
export type WorkflowKind = (typeof WORKFLOW_KIND)[keyof typeof WORKFLOW_KIND];

export const SWEEP_EVERY_MS = 60_000;

/** A run goes on as a new one after so many events (Temporal's own limit is 51,200), … */
export const MOST_RUN_EVENTS = 8_000;
/** … or so many bytes (a sweep that ends many rows carries their texts; Temporal's limit is 50 MiB), … */
export const MOST_RUN_BYTES = 8 * 1024 * 1024;
/** … or after so long, so that its history is never older than a few hours. */
export const LONGEST_RUN_MS = 6 * 3_600_000;

/** Runs that a day adds to the list, where a round of each task makes so many events. */
export function runsPerDay(tasks: readonly { readonly everyMs: number; readonly events: number }[]): number {
  const day = 24 * 3_600_000;
  const events = tasks.reduce((sum, task) => sum + Math.ceil(day / task.everyMs) * task.events, 0);
  return Math.max(Math.ceil(events / MOST_RUN_EVENTS), Math.ceil(day / LONGEST_RUN_MS));
}

export interface HousekeepingInput {
  /** DECKHAND_LOOK_INTERVAL. */
  readonly lookMs: number;
  /** Tests have it do more in less time. */
  readonly sweepMs?: number;
  readonly mostEvents?: number;
  /** When each is due, epoch milliseconds: from the run before. Absent: at once. */
  readonly due?: Readonly<Record<'sweep' | 'look', number>>;
}

export const housekeepingWorkflowId = (taskQueue: string): string => `housekeeping/${taskQueue}`;
