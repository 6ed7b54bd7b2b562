/**
 * Mutations of one decky.
 *
 * 1. {@link mutateDecky}: gives it other services (`mutate/<lifecycle_id>`); where they do not come up, what it was before comes back.
 * 2. Rotation by the clock: the Schedule `rotate/<decky>` runs {@link rotateDecky}, and housekeeping begins {@link rotateInherited}
 *    where one is due. Each is a mutation like one by hand, with a request and a row; what can't be accepted is recorded as a skip.
 */
import type { TypedSearchAttributes } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  executeChild,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
  uuid4,
} from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { errorText } from '../fleet/errors.ts';
import { mutateWorkflowId } from '../fleet/housekeeping.ts';
import { LOCAL_HOST, OPERATION } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import type { ShardState } from '../fleet/shard-model.ts';
import type { OperationPart } from '../operations/operation-parts.ts';
import { dueRotations, noteSkip, openRows, recordTransitions, storeRotation } from './activities.ts';
import { deployLocal } from './local.ts';
import { settleLost, unwritten } from './lost-rows.ts';
import type { OperationInput, OperationSummary } from './messages.ts';
import {
  type Counts,
  deckyAttributes,
  endNotAccepted,
  endOperation,
  failedRows,
  Lane,
  RequestAcceptance,
  shardAttributes,
  Window,
  workAttributes,
} from './operation.ts';
import { countsOf, type HostPart, isOfHost, shardInput, workOnShard } from './shard.ts';

type Accepted = Extract<Acceptance, { accepted: true }>;

/** `shard`: from the run before, whose history became long. */
type MutateInput = OperationInput & { readonly shard?: ShardState };

export async function mutateDecky(input: MutateInput): Promise<OperationSummary> {
  const request = new RequestAcceptance(input);
  const lane = new Lane(input.operationId);
  setCurrentDetails('**Waiting for** the request to be accepted');
  const acceptance = await request.result();
  if (!acceptance.accepted) return endNotAccepted(input, acceptance);
  const [part] = acceptance.parts;
  if (part && input.searchAttributes) upsertSearchAttributes(attributesOf(part).getAll());
  const ended = part
    ? await (isOfHost(part) ? onHost(input, acceptance, part) : here(input, acceptance, part, lane))
    : { succeeded: 0, failed: 0 };
  if ('phase' in ended) {
    await condition(allHandlersFinished);
    return continueAsNew<typeof mutateDecky>({ ...input, resume: true, shard: ended });
  }
  return endOperation(input, ended, (succeeded) => (succeeded ? 'mutated' : 'not mutated'));
}

const attributesOf = ({ hostUuid, names }: OperationPart): TypedSearchAttributes =>
  hostUuid ? shardAttributes(hostUuid, names, OPERATION.mutate) : deckyAttributes(names, OPERATION.mutate);

/** A shard of one row: it enters the host's lane, and leaves it, by itself. */
async function onHost(
  { operationId, shard }: MutateInput,
  { rollout }: Accepted,
  part: HostPart,
): Promise<Counts | ShardState> {
  const state = await workOnShard({
    ...shardInput(operationId, part, rollout ?? ROLLOUT_DEFAULTS, null),
    ...(shard ? { carry: shard } : {}),
  });
  return state.phase === 'continued' ? state : countsOf(state);
}

async function here(
  input: OperationInput,
  { progressDeadlineMs }: Accepted,
  part: OperationPart,
  lane: Lane,
): Promise<Counts> {
  try {
    if (part.turn === false) {
      setCurrentDetails(
        '**Waiting for** its turn on the Docker Engine: an operation that was accepted before still works there',
      );
      await lane.enter(LOCAL_HOST);
    }
    return await deployLocal({
      operationId: input.operationId,
      parallel: 1,
      progressDeadlineMs,
    });
  } catch (failure) {
    return await CancellationScope.nonCancellable(() =>
      isCancellation(failure) ? endCancelled(part) : endUnwritten(part, failure),
    );
  } finally {
    await lane.leave(LOCAL_HOST);
  }
}

async function endCancelled(part: OperationPart): Promise<Counts> {
  const rows = await openRows({ workflowId: part.workflowId });
  const error = errorText('Cancelled', 'the mutation was cancelled before it began; the decky was left as it was.');
  await recordTransitions({ transitions: failedRows(rows, error) });
  return { succeeded: 0, failed: rows.length };
}

async function endUnwritten(part: OperationPart, failure: unknown): Promise<Counts> {
  const rows = await openRows({ workflowId: part.workflowId });
  await settleLost(rows, unwritten(failure));
  return { succeeded: part.names.length - rows.length, failed: rows.length };
}

interface RotationInput {
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
