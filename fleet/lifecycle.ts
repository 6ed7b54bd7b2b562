/** Lifecycle rows: one (decky, operation) attempt each. docs/states/row.md says who may write which field. */
export const OPERATION = Object.freeze({ deploy: 'deploy', mutate: 'mutate', teardown: 'teardown' });
export type Operation = (typeof OPERATION)[keyof typeof OPERATION];

/** `pending → running → succeeded | failed`; `pending → failed` too. Never back, never changed once ended. */
export const STATUS = Object.freeze({
  pending: 'pending',
  running: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
});
export type Status = (typeof STATUS)[keyof typeof STATUS];

const NEXT: Readonly<Record<Status, readonly Status[]>> = Object.freeze({
  pending: [STATUS.running, STATUS.failed],
  running: [STATUS.succeeded, STATUS.failed],
  succeeded: [],
  failed: [],
});

export const hasEnded = (status: Status): boolean => NEXT[status].length === 0;
export const mayFollow = (from: Status, to: Status): boolean => NEXT[from].includes(to);

/**
 * How an operation ended: `deployments.outcome`, the search attribute `LifecycleOutcome` and the workflow's result say it
 * with the same word. `cancelled`: it was asked to end, and some row ended for that reason.
 */
export const OUTCOME = Object.freeze({
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  refused: 'refused',
  withdrawn: 'withdrawn',
});
export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME];

/** What a decky was last seen to be (`fleet_deckies.state`, DECNET's value set). */
export const DECKY_STATE = Object.freeze({
  pending: 'pending',
  running: 'running',
  failed: 'failed',
  tornDown: 'torn_down',
  degraded: 'degraded',
  tearingDown: 'tearing_down',
  teardownFailed: 'teardown_failed',
  /** Ours: an operator stopped it. */
  stopped: 'stopped',
});
export type DeckyState = (typeof DECKY_STATE)[keyof typeof DECKY_STATE];

/** A transition that a workflow wants written. `error` is a whole row text ("Code: sentence") and goes with `failed` only. */
export interface Transition {
  readonly lifecycleId: string;
  readonly deckyName: string;
  readonly status: Exclude<Status, 'pending'>;
  readonly error?: string;
  /** What was seen of the decky when the row ended; absent: what the status says. */
  readonly seen?: DeckyState;
  /** The row failed without the agent's word for it: its host may have done what it was sent, or do it still. */
  readonly unsure?: boolean;
}

/** A row as it goes over the wire (wire.md 1.8); times are ISO-8601 UTC with microseconds. */
export interface LifecycleRow {
  readonly id: string;
  readonly decky_name: string;
  readonly host_uuid: string | null;
  readonly operation: Operation;
  readonly status: Status;
  readonly error: string | null;
  readonly started_at: string;
  readonly updated_at: string;
  readonly completed_at: string | null;
}

/** The host key of the master's own engine in lanes and fleet rows (DECNET: fleet_deckies.host_uuid default "local"). */
export const LOCAL_HOST = 'local';
