/** The child that does at most 50 local deckies of a deployment (`deploy/<id>/local`). */
import { CancellationScope, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { LocalPlan, LocalWork } from '../activities/compose.ts';
import { OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { onEngine, openRows } from './activities.ts';
import { DeckyDetails } from './details.ts';
import type { Counts } from './ended-rows.ts';
import { doLocalWork } from './local-work.ts';
import { engineWork } from './profiles.ts';
import { rowError } from './row-error.ts';
import { tidyEngine } from './tidy-engine.ts';
import { TransitionRecorder } from './transition-recorder.ts';
import { Window } from './window.ts';

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

/** Deckies that change places: each leaves its address before anybody takes it. What fails here is told by its own bringing up. */
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
