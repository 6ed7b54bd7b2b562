/** One decky on the master's own engine, from its row's start to its end. A failure ends this decky's row and no other. */
import { CancellationScope } from '@temporalio/workflow';
import type { LocalPlan, LocalWork } from '../activities/compose.ts';
import { ERROR_TEXT_LIMIT } from '../fleet/errors.ts';
import { DECKY_STATE, type DeckyState, OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { onEngine, oweCleanUp } from './activities.ts';
import type { DeckyDetails } from './details.ts';
import { CLEAN_UP, engineWork, healthWatch } from './profiles.ts';
import { rowError } from './row-error.ts';
import type { TransitionRecorder } from './transition-recorder.ts';
import type { Window } from './window.ts';

export interface LocalContext {
  readonly options: LocalPlan['options'];
  readonly recorder: TransitionRecorder;
  readonly window: Window;
  readonly details: DeckyDetails;
}

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
    .catch(() => cleanUpIsOwed(deckyName));
  recorder.push({
    lifecycleId,
    deckyName,
    status: STATUS.failed,
    error: withAftermath(error, aftermath.sentence),
    seen: aftermath.seen,
  });
}

/** What was in the way of a clean-up may last longer than the row should be open. */
export async function cleanUpIsOwed(deckyName: string): Promise<{ sentence: string; seen: DeckyState }> {
  await oweCleanUp({ deckyName });
  const sentence = 'cleaning up did not work yet; it is tried again with each look at the engine';
  return { sentence, seen: DECKY_STATE.degraded };
}

const isHealthFailure = (failure: Error): boolean =>
  'activityType' in failure && failure.activityType === 'awaitHealthy';

/** The cause comes first and is kept whole as far as it fits; what became of the decky is one short sentence. */
const withAftermath = (error: string, sentence: string): string =>
  error.length + sentence.length + 4 <= ERROR_TEXT_LIMIT ? `${error} (${sentence})` : error;
