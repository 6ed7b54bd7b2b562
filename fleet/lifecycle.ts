/**
 * The words of the life of an operation: statuses, outcomes, states of deckies, and the events that tell of them. Their wire forms
 * are in rows.ts. docs/states/row.md says who may write which field of a row.
 */

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

export const hasEnded = (status: Status): boolean => status === STATUS.succeeded || status === STATUS.failed;

/** What is asked for: `deployments.kind`, the request kind. Its rows each have an {@link OPERATION}. */
export const REQUEST_KIND = Object.freeze({
  deploy: 'deploy',
  teardown: 'teardown',
  mutate: 'mutate',
  reconcile: 'reconcile',
  stop: 'stop',
  start: 'start',
  move: 'move',
});
export type RequestKind = (typeof REQUEST_KIND)[keyof typeof REQUEST_KIND];

/** `received → accepted | refused | withdrawn` (docs/states/request.md). */
export const REQUEST_STATE = Object.freeze({
  received: 'received',
  accepted: 'accepted',
  refused: 'refused',
  withdrawn: 'withdrawn',
});
export type RequestState = (typeof REQUEST_STATE)[keyof typeof REQUEST_STATE];

/**
 * How a deployment ended: `deployments.outcome`, the search attribute `LifecycleOutcome` and the workflow's result say it
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

/** The host key of the master's own engine in lanes and fleet rows (DECNET: fleet_deckies.host_uuid default "local"). */
export const LOCAL_HOST = 'local';

/** Bus subjects (docs/wire.md#events). A character that NATS forbids in a token becomes `_`. */
export const EVENT_STREAM = 'DECKHAND_EVENTS';
export const EVENT_SUBJECTS = 'decky.>';

export const subjectToken = (name: string): string => name.replace(/[.\s*>]/g, '_') || '_';
export const lifecycleSubject = (deckyName: string): string => `decky.${subjectToken(deckyName)}.lifecycle`;
export const mutationSubject = (deckyName: string): string => `decky.${subjectToken(deckyName)}.mutation`;
export const driftSubject = (deckyName: string): string => `decky.${subjectToken(deckyName)}.drift`;

/** What a deploy was warned of. */
export const warningSubject = (deckyName: string): string => `decky.${subjectToken(deckyName)}.warning`;

/** JetStream drops a repeat of the same id within its window (24 h). */
export const lifecycleMessageId = (lifecycleId: string, status: string): string => `${lifecycleId}:${status}`;

/** DECNET's envelope (docs/wire.md#events); `topic` is the NATS subject, `id` 32 hex digits, `ts` epoch seconds. */
export interface Envelope {
  readonly v: 1;
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  readonly ts: number;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** What an event is about, beside DECNET's envelope: it travels in headers of the message. */
export interface EventOrigin {
  readonly deckyName: string;
  readonly deploymentId: string | null;
  /** null: the master's own engine. */
  readonly hostUuid: string | null;
}

export const ORIGIN_HEADERS = Object.freeze({
  deckyName: 'Deckhand-Decky',
  deploymentId: 'Deckhand-Deployment',
  hostUuid: 'Deckhand-Host',
});
