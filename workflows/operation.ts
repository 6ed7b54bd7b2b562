/**
 * What the workflows of all operations share.
 *
 * 1. {@link RequestAcceptance}: the request is accepted, refused or withdrawn.
 * 2. {@link Lane}: one operation at a time on a host.
 * 3. Rows: how they end together, {@link rowError}, {@link TransitionRecorder}.
 * 4. {@link endOperation}: the end, the same for every kind.
 * 5. {@link Window}: at most so many pieces of work at a time.
 * 6. Search attributes.
 */
import { defineSearchAttributeKey, RetryState, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  TimeoutFailure,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { ERRORS, type ErrorCode, errorText, isErrorCode, WITHDRAWN } from '../fleet/errors.ts';
import { WORKFLOW_KIND } from '../fleet/housekeeping.ts';
import { OUTCOME, STATUS, type Transition } from '../fleet/lifecycle.ts';
import { fitting } from '../fleet/limits.ts';
import {
  acceptDeployment,
  awaitTurn,
  finishDeployment,
  publishTransitions,
  recordTransitions,
  releaseLane,
  withdrawDeployment,
} from './activities.ts';
import { acceptUpdate, type OperationInput, type OperationSummary, turnSignal } from './messages.ts';
import { ACCEPT_DEADLINE } from './profiles.ts';

/** A request is accepted by the `accept` update, or, when the sweep starts it again, by its row. */
export class RequestAcceptance {
  private acceptance: Acceptance | null = null;
  private accepting = 0;
  private readonly input: OperationInput;

  /** Sets the handler of `accept`: make it before the workflow's first await. */
  constructor(input: OperationInput) {
    this.input = input;
    setHandler(acceptUpdate, async () => {
      const acceptance = await this.accept();
      if (!acceptance.accepted)
        throw ApplicationFailure.create({ type: acceptance.code, message: acceptance.detail, nonRetryable: true });
      return { accepted: true as const };
    });
  }

  /** A request that nobody accepts in time is withdrawn, unless its row says that it was accepted after all. */
  async result(): Promise<Acceptance> {
    if (this.input.resume) return this.accept();
    try {
      await condition(() => this.acceptance !== null, ACCEPT_DEADLINE);
    } catch (failure) {
      // Cancelled before it was accepted or refused: what is accepted all the same goes on, and ends as any that is cancelled.
      if (!isCancellation(failure)) throw failure;
    }
    return CancellationScope.nonCancellable(() => this.acceptedOrWithdrawn());
  }

  private async acceptedOrWithdrawn(): Promise<Acceptance> {
    await condition(() => this.accepting === 0);
    if (this.acceptance) return this.acceptance;
    const state = await withdrawDeployment({ operationId: this.input.operationId });
    return state === 'accepted' ? this.accept() : { accepted: false, code: 'Withdrawn', detail: WITHDRAWN };
  }

  private async accept(): Promise<Acceptance> {
    this.accepting += 1;
    try {
      const { operationId, hostsPerGroup } = this.input;
      this.acceptance = await acceptDeployment({ operationId, ...(hostsPerGroup ? { hostsPerGroup } : {}) });
      log.info(this.acceptance.accepted ? 'accepted' : 'refused', {
        deployment_id: this.input.operationId,
        request_id: workflowInfo().memo?.request_id,
      });
      return this.acceptance;
    } finally {
      this.accepting -= 1;
    }
  }
}

/** The lane of a host: one operation at a time, in the order of acceptance (promise 6). */
export class Lane {
  private readonly turns = new Set<string>();
  private readonly operationId: string;

  /** Sets the handler of the `turn` signal: make it before the workflow's first await. */
  constructor(operationId: string) {
    this.operationId = operationId;
    setHandler(turnSignal, (turn) => {
      this.turns.add(turn.hostUuid);
    });
  }

  /** Resolves when it is this operation's turn: told by the one before, or found out by asking now and then. */
  async enter(hostUuid: string): Promise<void> {
    const asking = new CancellationScope();
    const asked = asking
      .run(() => awaitTurn({ hostUuid, operationId: this.operationId }))
      .then(() => {
        this.turns.add(hostUuid);
      })
      .catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
    await Promise.race([condition(() => this.turns.has(hostUuid)), asked]);
    asking.cancel();
  }

  /** Gives the lane to the next, whatever happened before. */
  async leave(hostUuid: string): Promise<void> {
    await CancellationScope.nonCancellable(() => releaseLane({ hostUuid, operationId: this.operationId }));
  }
}

/** Ends rows together, for one reason. `error`: a whole row text. */
export const failedRows = (
  rows: readonly { readonly lifecycleId: string; readonly deckyName: string }[],
  error: string,
): Transition[] => rows.map(({ lifecycleId, deckyName }) => ({ lifecycleId, deckyName, status: STATUS.failed, error }));

export interface Counts {
  readonly succeeded: number;
  readonly failed: number;
}

export const addCounts = (counts: readonly Counts[]): Counts => ({
  succeeded: counts.reduce((sum, { succeeded }) => sum + succeeded, 0),
  failed: counts.reduce((sum, { failed }) => sum + failed, 0),
});

/** An operation that was not accepted: `refused`, or `withdrawn`, as its request is. */
export async function endNotAccepted(
  input: OperationInput,
  { code, detail }: Extract<Acceptance, { accepted: false }>,
): Promise<OperationSummary> {
  const outcome = code === 'Withdrawn' ? OUTCOME.withdrawn : OUTCOME.refused;
  tell(input, outcome, `Not accepted: ${detail}`);
  await condition(allHandlersFinished);
  return { outcome, sentence: `${code}: ${detail}`, succeeded: 0, failed: 0 };
}

/**
 * Call it when every row has ended, in the workflow's own scope. An operation that was cancelled ends as Canceled: the
 * cancellation is thrown once all is written. Where it came too late for every row, the operation ends as its rows did.
 */
export async function endOperation(
  input: OperationInput,
  counts: Counts,
  sentenceOf: (succeeded: boolean) => string,
): Promise<OperationSummary> {
  const cancelled = CancellationScope.current().consideredCancelled;
  const summary = await CancellationScope.nonCancellable(async () => {
    const ended = await finishDeployment({ operationId: input.operationId, cancelled });
    const outcome = ended ?? (counts.failed > 0 ? OUTCOME.failed : OUTCOME.succeeded);
    const sentence =
      outcome === OUTCOME.cancelled
        ? `cancelled: ${counts.succeeded} succeeded before, ${counts.failed} did not`
        : sentenceOf(outcome === OUTCOME.succeeded);
    tell(input, outcome, sentence);
    await sendRest();
    await condition(allHandlersFinished);
    return { outcome, sentence, ...counts };
  });
  if (summary.outcome === OUTCOME.cancelled) throw new CancelledFailure(summary.sentence);
  return summary;
}

function tell({ searchAttributes }: OperationInput, outcome: OperationSummary['outcome'], sentence: string): void {
  if (searchAttributes) upsertSearchAttributes([{ key: LIFECYCLE_OUTCOME, value: outcome }]);
  setCurrentDetails(sentence);
}

/**
 * What the worker could not send of an operation's events gets one more try at its end; the sweep is the next. Never fails, also
 * where the operation was cancelled.
 */
const sendRest = (): Promise<unknown> =>
  CancellationScope.nonCancellable(() => publishTransitions().catch(() => undefined));

/** From a failure of Temporal's to the sentence that ends a row. `during` names the deadline that applied ("progress_deadline") and is used where time ran out. */
export function rowError(error: unknown, during: 'progress_deadline' | 'healthy_deadline'): string {
  if (isCancellation(error)) return errorText('Cancelled', 'the operation was cancelled before this decky was done');
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return applicationError(cause, error, during);
  if (cause instanceof TimeoutFailure) return timeoutError(cause, during);
  return errorText('Internal', cause instanceof Error ? cause.message : String(cause));
}

function applicationError(cause: ApplicationFailure, error: unknown, during: string): string {
  const code: ErrorCode = cause.type && isErrorCode(cause.type) ? cause.type : 'Internal';
  const ranOut = error instanceof ActivityFailure && error.retryState === RetryState.TIMEOUT;
  return errorText(code, ranOut && ERRORS[code].retryable ? `${cause.message} (tried until ${during})` : cause.message);
}

function timeoutError(cause: TimeoutFailure, during: 'progress_deadline' | 'healthy_deadline'): string {
  const step = typeof cause.lastHeartbeatDetails === 'string' ? `; it was ${cause.lastHeartbeatDetails}` : '';
  const before = cause.cause instanceof Error ? `; before that: ${cause.cause.message}` : '';
  return errorText(
    during === 'healthy_deadline' ? 'HealthyDeadline' : 'ProgressDeadline',
    `no end within ${during}${step}${before}`,
  );
}

/** Rows of one write at most. */
const BATCH = 200;

/** Writes transitions in batches: whatever came up while a batch was being written goes into the next one. */

export class TransitionRecorder {
  private readonly queue: Transition[] = [];
  private writing = false;
  private failure: unknown = null;

  /** Queues a transition; order is kept. Rows are written also when the workflow was cancelled. */
  push(transition: Transition): void {
    this.queue.push(transition);
    if (!this.writing) void CancellationScope.nonCancellable(() => this.write());
  }

  /**
   * Resolves when every queued transition is in PostgreSQL. Throws what kept one from being written for good: then some rows
   * are open still, and the caller ends them in another way.
   */
  async written(): Promise<void> {
    await CancellationScope.nonCancellable(() => condition(() => !this.writing));
    const { failure } = this;
    this.failure = null;
    if (failure !== null) throw failure;
  }

  /** Never throws: nobody awaits it, and an unhandled rejection would fail the workflow's task again and again. */
  private async write(): Promise<void> {
    this.writing = true;
    try {
      await this.endOfActivation();
      while (this.queue.length > 0) await this.writeBatch(this.queue.splice(0, fitting(this.queue, BATCH)));
    } finally {
      this.writing = false;
    }
  }

  /** A batch that can't be written is no reason to leave out the next. */
  private async writeBatch(transitions: readonly Transition[]): Promise<void> {
    try {
      await recordTransitions({ transitions });
    } catch (failure) {
      this.failure ??= failure;
    }
  }

  /** What is pushed in the same activation goes into one batch: conditions are evaluated again when all else has run. */
  private async endOfActivation(): Promise<void> {
    let evaluations = 0;
    await condition(() => evaluations++ > 0);
  }
}

/** At most `size` pieces of work at a time; the rest wait in order. */
export class Window {
  private inside = 0;
  private readonly waiting: symbol[] = [];
  private readonly size: number;
  constructor(size: number) {
    this.size = size;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const own = Symbol('waiting');
    this.waiting.push(own);
    try {
      await condition(() => this.inside < this.size && this.waiting[0] === own);
    } catch (error) {
      this.leave(own);
      throw error;
    }
    this.leave(own);
    this.inside += 1;
    try {
      return await work();
    } finally {
      this.inside -= 1;
    }
  }

  private leave(own: symbol): void {
    this.waiting.splice(this.waiting.indexOf(own), 1);
  }
}

/** Search attributes of the product; registered by the stack, `deckhand doctor` prints the command where they are missing. */
const DECKY_NAME = defineSearchAttributeKey('DeckyName', SearchAttributeType.KEYWORD_LIST);
export const HOST_UUID = defineSearchAttributeKey('HostUuid', SearchAttributeType.KEYWORD);
const OPERATION_ATTRIBUTE = defineSearchAttributeKey('Operation', SearchAttributeType.KEYWORD);
const LIFECYCLE_OUTCOME = defineSearchAttributeKey('LifecycleOutcome', SearchAttributeType.KEYWORD);

/** `work`, or `housekeeping` (fleet/housekeeping.ts). */
export const KIND = defineSearchAttributeKey('DeckhandKind', SearchAttributeType.KEYWORD);

export const workAttributes = (): TypedSearchAttributes =>
  new TypedSearchAttributes([{ key: KIND, value: WORKFLOW_KIND.work }]);

export const housekeepingAttributes = (): TypedSearchAttributes =>
  new TypedSearchAttributes([{ key: KIND, value: WORKFLOW_KIND.housekeeping }]);

/** A search attribute holds 2,048 bytes at most (Temporal's default); some are kept for the encoding's quotes and commas. */
const VALUE_BYTES = 2_048;

/** As many of the names as fit, in order. Names are ASCII (docs/configuration.md#keys), so characters are bytes. */
function fittingNames(names: readonly string[]): string[] {
  const kept: string[] = [];
  let bytes = 2;
  for (const name of names) {
    bytes += name.length + 3;
    if (bytes > VALUE_BYTES) break;
    kept.push(name);
  }
  return kept;
}

export const deckyAttributes = (names: readonly string[], operation: string): TypedSearchAttributes =>
  new TypedSearchAttributes([
    ...workAttributes().getAll(),
    { key: DECKY_NAME, value: fittingNames(names) },
    { key: OPERATION_ATTRIBUTE, value: operation },
  ]);

/** Of a child that begins others, which name their deckies. */
export const groupAttributes = (operation: string): TypedSearchAttributes =>
  new TypedSearchAttributes([...workAttributes().getAll(), { key: OPERATION_ATTRIBUTE, value: operation }]);

export const shardAttributes = (hostUuid: string, names: readonly string[], operation: string): TypedSearchAttributes =>
  new TypedSearchAttributes([{ key: HOST_UUID, value: hostUuid }, ...deckyAttributes(names, operation).getAll()]);
