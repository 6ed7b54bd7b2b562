/**
 * What one workflow, `housekeeping/<task queue>`, does again and again. Temporal keeps each closed run in its list for 30 days,
 * so it does many rounds in one run, and begins a workflow of its own only where there is work: an idle day adds a handful of
 * runs, and operators find their work.
 */

/** Why a workflow runs, as the search attribute `DeckhandKind`: somebody's operation, or the product's own rounds. */
export const WORKFLOW_KIND = Object.freeze({ work: 'work', housekeeping: 'housekeeping' });
export type WorkflowKind = (typeof WORKFLOW_KIND)[keyof typeof WORKFLOW_KIND];

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export const SWEEP_EVERY_MS = MINUTE_MS;
/** How often the intervals are read that admins set, and looked whether their time has come. */
export const CLOCK_EVERY_MS = 20 * SECOND_MS;
/** What came up to so long before a run's start is made up for: a worker was being started. */
export const CATCH_UP_MS = MINUTE_MS;

/** A run goes on as a new one after so many events (Temporal's own limit is 51,200), … */
export const MOST_RUN_EVENTS = 8_000;
/** … or so many bytes (a sweep that ends many rows carries their texts; Temporal's limit is 50 MiB), … */
export const MOST_RUN_BYTES = 8 * 1024 * 1024;
/** … or after so long, so that its history is never older than a few hours. */
export const LONGEST_RUN_MS = 6 * HOUR_MS;

/** Looks that follow each other sooner share an activity, and its events. */
const LEAST_LOOK_ROUND_MS = 10 * SECOND_MS;

export interface LookRound {
  /** Looks of one activity. */
  readonly times: number;
  /** From one look to the next. */
  readonly everyMs: number;
}

export const lookRound = (lookMs: number): LookRound => ({
  times: Math.max(1, Math.ceil(LEAST_LOOK_ROUND_MS / lookMs)),
  everyMs: lookMs,
});
export const roundMs = ({ times, everyMs }: LookRound): number => times * everyMs;

/** What comes by the clock; null: never. */
export interface ClockIntervals {
  /** Looks for deckies that inherit the global interval and are due. */
  readonly rotateMs: number | null;
  /** Looks for drift that is due to be mended. */
  readonly reconcileMs: number | null;
}
export type ClockTask = 'rotate' | 'reconcile';

/** Whether a time has come after `after`, until `until`: each multiple of the interval is one, whatever was restarted meanwhile. */
export const hasCome = (everyMs: number, after: number, until: number): boolean =>
  Math.floor(until / everyMs) > Math.floor(after / everyMs);

/** Deckies are due one interval after their last change, each at its own time: ten looks in an interval, one a minute to one an hour. */
export const rotationLookMs = (minutes: number): number =>
  Math.max(1, Math.min(60, Math.floor(minutes / 10))) * MINUTE_MS;

/** Runs that a day adds to the list, where a round of each task makes so many events. */
export function runsPerDay(tasks: readonly { readonly everyMs: number; readonly events: number }[]): number {
  const events = tasks.reduce((sum, task) => sum + Math.ceil(DAY_MS / task.everyMs) * task.events, 0);
  return Math.max(Math.ceil(events / MOST_RUN_EVENTS), Math.ceil(DAY_MS / LONGEST_RUN_MS));
}

export interface HousekeepingInput {
  /** In the ids of what it begins. Not asked of the worker: a replay runs on another queue. */
  readonly taskQueue: string;
  readonly searchAttributes: boolean;
  /** DECKHAND_LOOK_INTERVAL. */
  readonly lookMs: number;
  /** Tests have it do more in less time. */
  readonly sweepMs?: number;
  readonly clockMs?: number;
  readonly mostEvents?: number;
  /** When each is due, epoch milliseconds: from the run before. Absent: at once. */
  readonly due?: Readonly<Record<'sweep' | 'look' | 'clock', number>>;
  /** Until when it was looked whether the time of each has come, epoch milliseconds: from the run before. */
  readonly judged?: Readonly<Record<ClockTask, number>>;
}

export const housekeepingWorkflowId = (taskQueue: string): string => `housekeeping/${taskQueue}`;
/** Workflows that it begins where something is due. While one runs no second one begins. */
export const rotateWorkflowId = (taskQueue: string): string => `rotate/global/${taskQueue}`;
export const reconcileWorkflowId = (taskQueue: string): string => `reconcile/${taskQueue}`;

/** Workflow ids. A row carries the id of the workflow that owns it. */
export const deployWorkflowId = (deploymentId: string): string => `deploy/${deploymentId}`;
/** Local deckies are done by children of at most LIMITS.localChunk each; the first has no number. */
export const localWorkflowId = (deploymentId: string, part: number): string =>
  part === 1 ? `deploy/${deploymentId}/local` : `deploy/${deploymentId}/local-${part}`;
/** The child of a deployment that does one host. */
export const shardWorkflowId = (deploymentId: string, hostUuid: string): string =>
  `deploy/${deploymentId}/host/${hostUuid}`;
/** Hosts of a large deployment are done by groups, numbered from 1, which begin the hosts' children. */
export const groupWorkflowId = (deploymentId: string, group: number): string => `deploy/${deploymentId}/hosts/${group}`;
/** Many deckies that leave their host are taken down by children, numbered from 1. */
export const leaveWorkflowId = (deploymentId: string, part: number): string => `deploy/${deploymentId}/leave/${part}`;
export const mutateWorkflowId = (lifecycleId: string): string => `mutate/${lifecycleId}`;
export const teardownWorkflowId = (lifecycleId: string): string => `teardown/${lifecycleId}`;

/** The deployment that a workflow works for; null for those that work for none, as the sweep. */
export const deploymentOf = (workflowId: string): string | null =>
  /^(?:deploy|mutate|teardown)\/([^/]+)/.exec(workflowId)?.[1] ?? null;

/** Task queues: workflows and activities of the databases on one, those of the master's own Docker Engine on the other. */
export const DEFAULT_TASK_QUEUE = 'deckhand';

/** The queue of the machine that has the Docker Engine, so that a slow pull can't starve transitions. */
export const composeTaskQueue = (taskQueue: string): string => `${taskQueue}-compose`;

/** Talks with agents wait for the network, many at a time, and must not hold up the databases. */
export const agentTaskQueue = (taskQueue: string): string => `${taskQueue}-agents`;
