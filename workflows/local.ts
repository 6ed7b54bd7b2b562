/**
 * The part of an operation that belongs to the master's own engine.
 *
 * 1. {@link deployLocal}: the child that does at most 50 deckies of a deployment (`deploy/<id>/local`).
 * 2. {@link doLocalWork}: one decky, from its row's start to its end.
 * 3. {@link failAllAndFallBack}: the network can't be made, so that every row fails and every decky falls back.
 */
import { CancellationScope, executeChild, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { LocalPlan, LocalWork } from '../activities/compose.ts';
import { ERROR_TEXT_LIMIT } from '../fleet/errors.ts';
import { DECKY_STATE, type DeckyState, OPERATION, STATUS, type Transition } from '../fleet/lifecycle.ts';
import { KEPT_IN_PLACE, LIMITS } from '../fleet/limits.ts';
import type { OperationPart } from '../operations/operation-parts.ts';
import { onEngine, openRows, oweCleanUp, recordTransitions } from './activities.ts';
import { DeckyDetails } from './details.ts';
import { settleParts } from './lost-rows.ts';
import type { OperationInput } from './messages.ts';
import { addCounts, type Counts, deckyAttributes, rowError, TransitionRecorder, Window } from './operation.ts';
import { CLEAN_UP, engineWork, healthWatch } from './profiles.ts';

export interface DeployLocalInput {
  readonly operationId: string;
  /** How many deckies this child may have on their way up at the same time. */
  readonly parallel: number;
  /** The request's progress_deadline: how long the engine may be out of reach before the rows end. */
  readonly progressDeadlineMs: number;
}

export async function deployLocal(input: DeployLocalInput): Promise<Counts> {
  const details = new DeckyDetails();
  const recorder = new TransitionRecorder();
  const { workflowId } = workflowInfo();
  details.waitFor('the Docker Engine to say what runs');
  const plan = await planOrFail(input, workflowId, details, recorder);
  if (plan) {
    details.expect(plan.work.map((work) => work.deckyName));
    details.waitFor(null);
    const context = { options: plan.options, recorder, window: new Window(input.parallel), details };
    // Removals first: they free the addresses and names that creations need.
    await Promise.all(worksOf(plan, true).map((work) => doLocalWork(work, context)));
    await makeRoom(plan);
    await Promise.all(worksOf(plan, false).map((work) => doLocalWork(work, context)));
  }
  await recorder.written();
  if (details.counts.failed > 0 || plan?.work.some((work) => work.operation === OPERATION.teardown)) await tidyEngine();
  return details.counts;
}

const worksOf = (plan: LocalPlan, removals: boolean): LocalWork[] =>
  plan.work.filter((work) => (work.operation === OPERATION.teardown) === removals);

/** Deckies that change addresses: each leaves its address before anybody takes it. What fails here is told by its own bringing up. */
async function makeRoom({ work, makeRoom: names, options }: LocalPlan): Promise<void> {
  const moving = work.filter((one) => names.includes(one.deckyName));
  await Promise.all(
    moving.map(({ deckyName, lifecycleId }) =>
      onEngine(engineWork(options.progressDeadlineMs), `free the address of ${deckyName}`)
        .composeDown({ deckyName, lifecycleId })
        .catch(unlessCancelled),
    ),
  );
}

function unlessCancelled(failure: unknown): void {
  if (isCancellation(failure)) throw failure;
}

/** Null when the engine could not be asked: then every row has ended with that sentence. */
async function planOrFail(
  input: DeployLocalInput,
  workflowId: string,
  details: DeckyDetails,
  recorder: TransitionRecorder,
): Promise<LocalPlan | null> {
  try {
    return await onEngine(engineWork(input.progressDeadlineMs), 'compare what runs with what should').planLocal({
      workflowId,
    });
  } catch (failure) {
    const rows = await CancellationScope.nonCancellable(() => openRows({ workflowId }));
    const error = rowError(failure, 'progress_deadline');
    details.expect(rows.map((row) => row.deckyName));
    for (const { lifecycleId, deckyName } of rows) {
      recorder.push({ lifecycleId, deckyName, status: STATUS.failed, error });
      details.ended(deckyName, false);
    }
    return null;
  }
}

interface LocalContext {
  readonly options: LocalPlan['options'];
  readonly recorder: TransitionRecorder;
  readonly window: Window;
  readonly details: DeckyDetails;
}

/** A failure ends this decky's row and no other. */
export async function doLocalWork(work: LocalWork, context: LocalContext): Promise<void> {
  const { recorder, details } = context;
  const { lifecycleId, deckyName } = work;
  const running = (): void => recorder.push({ lifecycleId, deckyName, status: STATUS.running });
  try {
    await (work.operation === OPERATION.teardown ? takeDown(work, context, running) : bringUp(work, context, running));
    recorder.push({ lifecycleId, deckyName, status: STATUS.succeeded });
    details.ended(deckyName, true);
  } catch (failure) {
    await CancellationScope.nonCancellable(() => endAsFailed(work, context, failure));
    details.ended(deckyName, false);
  }
}

async function bringUp(work: LocalWork, { options, window }: LocalContext, running: () => void): Promise<void> {
  const { deckyName, lifecycleId } = work;
  if (work.verdict === 'as specified') return running();
  if (work.verdict === 'differs') {
    const brought = await window.run(() => {
      running();
      return onEngine(engineWork(options.progressDeadlineMs), `bring up ${deckyName}`).composeUp({
        deckyName,
        lifecycleId,
        minHealthyTimeMs: options.minHealthyTimeMs,
      });
    });
    if (brought.healthy) return;
  } else running();
  await onEngine(healthWatch(options.healthyDeadlineMs), `watch ${deckyName}`).awaitHealthy({
    deckyName,
    lifecycleId,
    minHealthyTimeMs: options.minHealthyTimeMs,
    healthyDeadlineMs: options.healthyDeadlineMs,
  });
}

const takeDown = (
  { deckyName, lifecycleId }: LocalWork,
  { options, window }: LocalContext,
  running: () => void,
): Promise<void> =>
  window.run(async () => {
    running();
    await onEngine(engineWork(options.progressDeadlineMs), `take down ${deckyName}`).composeDown({
      deckyName,
      lifecycleId,
    });
  });

/** The evidence stands in the failure already, so that what did not come up can go. */
async function endAsFailed(work: LocalWork, { recorder }: LocalContext, failure: unknown): Promise<void> {
  const { deckyName, lifecycleId } = work;
  const during =
    failure instanceof Error && work.operation !== OPERATION.teardown && isHealthFailure(failure)
      ? 'healthy_deadline'
      : 'progress_deadline';
  const error = rowError(failure, during);
  if (work.operation === OPERATION.teardown) {
    recorder.push({ lifecycleId, deckyName, status: STATUS.failed, error, seen: DECKY_STATE.teardownFailed });
    return;
  }
  const aftermath = await onEngine(CLEAN_UP, `clean up ${deckyName}`)
    .composeDiscard({ deckyName, lifecycleId })
    .catch(() => cleanUpPending(deckyName));
  recorder.push({
    lifecycleId,
    deckyName,
    status: STATUS.failed,
    error: withAftermath(error, aftermath.sentence),
    seen: aftermath.seen,
  });
}

/** What was in the way of a clean-up may last longer than the row should be open. */
async function cleanUpPending(deckyName: string): Promise<{ sentence: string; seen: DeckyState }> {
  await oweCleanUp({ deckyName });
  const sentence = 'cleaning up did not work yet; it is tried again with each look at the engine';
  return { sentence, seen: DECKY_STATE.degraded };
}

const isHealthFailure = (failure: Error): boolean =>
  'activityType' in failure && failure.activityType === 'awaitHealthy';

/** The cause comes first and is kept whole as far as it fits; what became of the decky is one short sentence. */
const withAftermath = (error: string, sentence: string): string =>
  error.length + sentence.length + 4 <= ERROR_TEXT_LIMIT ? `${error} (${sentence})` : error;

/**
 * After removals and failures: the compose file says what should run now, and a network that nobody needs goes. Best effort: the
 * next operation writes the file anew, so that a failure here is no decky's.
 */
export async function tidyEngine(): Promise<void> {
  await CancellationScope.nonCancellable(() => onEngine(CLEAN_UP, 'write the compose file').tidyEngine()).catch(
    () => undefined,
  );
}

/** The workflow of one part of {@link failAllAndFallBack}. Recorded histories have its name. */
export const keepPart = ({ part, error }: { readonly part: OperationPart; readonly error: string }): Promise<Counts> =>
  failPartsAndFallBack([part], error);

/** Fails the rows of all local parts. Where there are many parts, each has a child, so that no history becomes too long. */
export async function failAllAndFallBack(
  { searchAttributes }: OperationInput,
  parts: readonly OperationPart[],
  error: string,
): Promise<Counts> {
  if (parts.length <= KEPT_IN_PLACE) return failPartsAndFallBack(parts, error);
  const counts: Counts[] = [];
  for (const part of parts) {
    const kept = executeChild<typeof keepPart>('keepPart', {
      workflowId: part.workflowId,
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [{ part, error }],
      staticSummary: `keep what runs of ${part.names.length} local deckies`,
      ...(searchAttributes ? { typedSearchAttributes: deckyAttributes(part.names, OPERATION.deploy) } : {}),
    });
    counts.push(await kept.catch(() => settleParts([part], null)));
  }
  return addCounts(counts);
}

type Row = Awaited<ReturnType<typeof openRows>>[number];

/**
 * Ends every row as failed for this reason, removals too. What came up before falls back to its established version, and what
 * never did goes; the row says which.
 */
async function failPartsAndFallBack(parts: readonly OperationPart[], error: string): Promise<Counts> {
  let failed = 0;
  for (const part of parts) {
    const rows = await openRows({ workflowId: part.workflowId });
    for (let at = 0; at < rows.length; at += LIMITS.localParallel) {
      const some = rows.slice(at, at + LIMITS.localParallel);
      await recordTransitions({ transitions: await Promise.all(some.map((row) => failAndFallBack(row, error))) });
    }
    failed += rows.length;
  }
  return { succeeded: 0, failed };
}

async function failAndFallBack({ deckyName, lifecycleId }: Row, error: string): Promise<Transition> {
  const { sentence, seen } = await onEngine(CLEAN_UP, `keep ${deckyName}`)
    .composeDiscard({ deckyName, lifecycleId })
    .catch(() => cleanUpPending(deckyName));
  const whole = `${error} (${sentence})`;
  const text = whole.length <= ERROR_TEXT_LIMIT ? whole : error;
  return { lifecycleId, deckyName, status: STATUS.failed, error: text, seen };
}
