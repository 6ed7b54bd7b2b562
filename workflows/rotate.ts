/**
 * Rotation by the clock: the Schedule `rotate/<decky>` runs {@link rotateDecky}; housekeeping begins {@link rotateInherited} where one is due.
 * Each rotation is a mutation like one by hand, with a request and a row; what can't be accepted is recorded as a skip.
 */
import {
  CancellationScope,
  continueAsNew,
  executeChild,
  isCancellation,
  setCurrentDetails,
  uuid4,
} from '@temporalio/workflow';
import { mutateWorkflowId } from '../fleet/housekeeping.ts';
import { dueRotations, noteSkip, storeRotation } from './activities.ts';
import type { OperationSummary } from './messages.ts';
import type { mutateDecky } from './mutate-decky.ts';
import { workAttributes } from './search-attributes.ts';
import { Window } from './window.ts';

export interface RotationInput {
  readonly searchAttributes: boolean;
}

/** Keeps the history of one run far below Temporal's limits; a fleet with more goes on as new. */
const BATCH = 50;
/** Rotations of inherited intervals at the same time: each host does its own one by one anyway. */
const PARALLEL = 10;

export async function rotateDecky(input: RotationInput & { readonly deckyName: string }): Promise<string> {
  return (await rotate(input.deckyName, input)) ?? 'the mutation was ended by somebody';
}

/** How many rotations were begun in this run. */
export async function rotateInherited(input: RotationInput): Promise<number> {
  const due = await dueRotations({ limit: BATCH });
  if (due.length > 0) setCurrentDetails(`**Waiting for** the rotation of ${due.length} deckies, ${PARALLEL} at a time`);
  const window = new Window(PARALLEL);
  const ends = await Promise.all(due.map((deckyName) => window.run(() => rotate(deckyName, input))));
  setCurrentDetails(`${due.length} deckies were due`);
  // One that left neither row nor skip would be due again at once.
  if (due.length === BATCH && !ends.includes(null)) await continueAsNew<typeof rotateInherited>(input);
  return due.length;
}

/** What became of it; null where the mutation's workflow was terminated or failed (the sweep ends its row). */
async function rotate(deckyName: string, { searchAttributes }: RotationInput): Promise<string | null> {
  const operationId = uuid4();
  await storeRotation({ operationId, deckyName });
  let summary: OperationSummary;
  try {
    summary = await executeChild<typeof mutateDecky>('mutateDecky', {
      workflowId: mutateWorkflowId(operationId),
      args: [{ operationId, searchAttributes, resume: true }],
      ...(searchAttributes ? { typedSearchAttributes: workAttributes() } : {}),
      // A row that was begun is ended, whatever becomes of its rotation.
      parentClosePolicy: 'ABANDON',
      staticSummary: `rotation of ${deckyName}`,
    });
  } catch (failure) {
    if (CancellationScope.current().consideredCancelled) throw failure;
    return isCancellation(failure) ? 'the mutation was cancelled' : null;
  }
  if (summary.outcome === 'refused' || summary.outcome === 'withdrawn')
    await noteSkip({ operationId, deckyName, reason: summary.sentence });
  return summary.sentence;
}
