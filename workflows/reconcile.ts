/**
 * Convergence by the clock (docs/convergence.md): {@link lookAtEngine} is a look for somebody who waits for it; housekeeping begins
 * {@link reconcileFleet} where something is due, which mends what drifts by an operation like one by hand, with a request and rows.
 */
import { CancellationScope, executeChild, isCancellation, setCurrentDetails, uuid4 } from '@temporalio/workflow';
import type { EngineLook } from '../activities/convergence.ts';
import { deployWorkflowId } from '../fleet/housekeeping.ts';
import { look, storeReconcile } from './activities.ts';
import type { deployFleet } from './deploy-fleet.ts';
import { LOOK } from './profiles.ts';
import { workAttributes } from './search-attributes.ts';

export interface ReconcileInput {
  readonly searchAttributes: boolean;
}

export async function lookAtEngine(): Promise<EngineLook> {
  const seen = await look(LOOK, 'compare what runs with what should').lookAtEngine();
  setCurrentDetails(seen.answered ? `${seen.drifting} deckies drift` : 'The engine does not answer: unknown');
  return seen;
}

/** What became of it, in words. */
export async function reconcileFleet({ searchAttributes }: ReconcileInput): Promise<string> {
  try {
    await lookAtEngine();
  } catch (failure) {
    // Hosts have told of themselves: they are mended all the same.
    if (isCancellation(failure)) throw failure;
  }
  const operationId = uuid4();
  if (!(await storeReconcile({ operationId }))) return 'nothing is due';
  setCurrentDetails(`**Waiting for** \`${deployWorkflowId(operationId)}\` to mend what drifts`);
  try {
    const { sentence } = await executeChild<typeof deployFleet>('deployFleet', {
      workflowId: deployWorkflowId(operationId),
      args: [{ operationId, searchAttributes, resume: true }],
      ...(searchAttributes ? { typedSearchAttributes: workAttributes() } : {}),
      // A row that was begun is ended, whatever becomes of this run.
      parentClosePolicy: 'ABANDON',
      staticSummary: 'reconcile by the clock',
    });
    return sentence;
  } catch (failure) {
    if (CancellationScope.current().consideredCancelled) throw failure;
    return isCancellation(failure) ? 'the operation was cancelled' : 'the operation was ended by somebody';
  }
}
