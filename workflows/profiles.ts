/** Time-outs and retry policies, by name; nothing else in workflows/ states one. */
import type { ActivityOptions, LocalActivityOptions } from '@temporalio/workflow';
import { DURATIONS } from '../fleet/durations.ts';

/**
 * The limit of a wait that has to end. Temporal takes 0 for "no limit", and refuses what is negative or no number at every
 * workflow task, so none of these reaches it. The door refuses such durations too; what was stored before, or is what is
 * left of a deadline, comes through here.
 */
const LEAST_WAIT_MS = 1_000;
const MOST_WAIT_MS = DURATIONS.progress_deadline.most + DURATIONS.healthy_deadline.most;
export const boundedWait = (ms: number): number =>
  Number.isNaN(ms) || typeof ms !== 'number'
    ? DURATIONS.progress_deadline.usual
    : Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, Math.round(ms)));

/** How long a workflow waits to be accepted before it closes itself. */
export const ACCEPT_DEADLINE = '50s';

/** Acceptance, in the same workflow task as the update: short, so that the API's own deadline (10 s) decides. */
export const ACCEPT: LocalActivityOptions = {
  startToCloseTimeout: '8s',
  scheduleToCloseTimeout: '20s',
  retry: { initialInterval: '200ms', maximumInterval: '2s' },
};

/** Rows, tickets, requests: tried until PostgreSQL is back, since nothing may be lost. */
export const STORE: ActivityOptions = {
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
};

/** One try; the sweep is the second. */
export const PUBLISH: ActivityOptions = { startToCloseTimeout: '20s', retry: { maximumAttempts: 1 } };

/** The safety net of the lane: asks every ten seconds, without history for each try. */
export const TURN: ActivityOptions = {
  startToCloseTimeout: '10s',
  retry: { initialInterval: '10s', backoffCoefficient: 1 },
};

/** A killed worker costs this long at most before its work is taken over (issue 4: 10 s). */
const ENGINE_HEARTBEAT = '10s';
const ENGINE_RETRY = { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s' } as const;

/** Work on an engine: tried again while errors may pass, until `deadlineMs` from its start. */
export const engineWork = (deadlineMs: number): ActivityOptions => ({
  scheduleToCloseTimeout: boundedWait(deadlineMs),
  heartbeatTimeout: ENGINE_HEARTBEAT,
  retry: ENGINE_RETRY,
});

/** Waiting for health: the activity itself says so at `deadlineMs`, with what it saw; the grace is for that answer. */
export const healthWatch = (deadlineMs: number): ActivityOptions => engineWork(deadlineMs + 20_000);

/** Best effort after the row's fate is known: removing what did not come up, or bringing back the last good version. */
export const CLEAN_UP: ActivityOptions = {
  scheduleToCloseTimeout: '2m',
  heartbeatTimeout: ENGINE_HEARTBEAT,
  retry: { ...ENGINE_RETRY, maximumAttempts: 4 },
};

/** What such a clean-up did not get done: each observation of the engine tries once. */
export const CLEAN_UP_LATER: ActivityOptions = { ...CLEAN_UP, retry: { maximumAttempts: 1 } };

/** Observing the engine for the sweep: an answer soon, or "unknown". */
export const OBSERVE_ENGINE: ActivityOptions = {
  scheduleToCloseTimeout: '30s',
  heartbeatTimeout: ENGINE_HEARTBEAT,
  retry: { maximumAttempts: 2 },
};

/** Several observations in one activity, which take so long together. A worker that is told to stop gives it back. */
export const observeRounds = (ms: number): ActivityOptions => ({
  ...OBSERVE_ENGINE,
  startToCloseTimeout: boundedWait(ms + 30_000),
  scheduleToCloseTimeout: boundedWait(2 * (ms + 30_000)),
});

/** A round of housekeeping that looks for what was lost, or what is due; the next round looks again. */
export const SWEEP: ActivityOptions = { startToCloseTimeout: '50s', retry: { maximumAttempts: 2 } };

/** The daily prune: many small transactions; what is left after five tries is left to the next day. */
export const PRUNE: ActivityOptions = {
  startToCloseTimeout: '1h',
  heartbeatTimeout: '2m',
  retry: { initialInterval: '1m', maximumAttempts: 5 },
};

/**
 * One order to a host: two tries; then the shard waits for the host without holding a slot. Most are answered at once, a
 * teardown of everything when it is done (the client gives it two minutes).
 */
export const DISPATCH: ActivityOptions = {
  startToCloseTimeout: '130s',
  heartbeatTimeout: ENGINE_HEARTBEAT,
  retry: { initialInterval: '1s', maximumAttempts: 2 },
};

/** Best effort after a cancellation. A teardown of everything is answered when it is done. */
export const RECALL: ActivityOptions = {
  scheduleToCloseTimeout: '2m',
  heartbeatTimeout: ENGINE_HEARTBEAT,
  retry: { initialInterval: '1s', maximumAttempts: 3 },
};

/** One question to a host; a worker that dies meanwhile costs this long. */
export const ASK: ActivityOptions = { startToCloseTimeout: '30s', retry: { initialInterval: '500ms' } };

/** Until a host answers, without history for each try. */
export const AWAIT_HOST = (leftMs: number): ActivityOptions => ({
  startToCloseTimeout: '25s',
  scheduleToCloseTimeout: boundedWait(leftMs),
  retry: { initialInterval: '2s', backoffCoefficient: 1.5, maximumInterval: '8s' },
});

/**
 * Taking one decky down on a host; the agent answers when it is down. `heartbeatTimeout` lets a dead worker be retried after 10 s
 * instead of being mistaken for an unreachable host.
 */
export const REMOTE_TEARDOWN = (leftMs: number): ActivityOptions => ({
  startToCloseTimeout: '130s',
  heartbeatTimeout: ENGINE_HEARTBEAT,
  scheduleToCloseTimeout: boundedWait(leftMs),
  retry: { initialInterval: '1s', maximumInterval: '8s' },
});

/** Observing a host for the sweep: an answer soon, or "unknown". */
export const OBSERVE_HOST: ActivityOptions = { scheduleToCloseTimeout: '45s', retry: { maximumAttempts: 1 } };
