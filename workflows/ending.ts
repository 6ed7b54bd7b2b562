/** How the workflow of an operation ends, the same for every kind. */
import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { OUTCOME } from '../fleet/lifecycle.ts';
import { finishDeployment } from './activities.ts';
import type { Counts } from './ended-rows.ts';
import type { OperationInput, OperationSummary } from './messages.ts';
import { LIFECYCLE_OUTCOME } from './search-attributes.ts';
import { sendRest } from './send-rest.ts';

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
