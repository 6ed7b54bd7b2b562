/** Gives one decky other services (`mutate/<lifecycle_id>`); where they do not come up, what it was before comes back. */
import type { TypedSearchAttributes } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Acceptance, LocalPart } from '../activities/deployments.ts';
import { errorText } from '../fleet/errors.ts';
import { LOCAL_HOST, OPERATION } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import type { ShardState } from '../fleet/shard-model.ts';
import { Gate } from './acceptance.ts';
import { openRows, recordTransitions } from './activities.ts';
import { deployLocal } from './deploy-local.ts';
import { type Counts, failedRows } from './ended-rows.ts';
import { endNotAccepted, endOperation } from './ending.ts';
import { Lane } from './lane.ts';
import type { OperationInput, OperationSummary } from './messages.ts';
import { deckyAttributes, shardAttributes } from './search-attributes.ts';
import { settleLost, unwritten } from './settle-lost.ts';
import { countsOf, type HostPart, isOfHost, shardInput, workOnShard } from './shard.ts';

type Accepted = Extract<Acceptance, { accepted: true }>;

/** `shard`: from the run before, whose history became long. */
export type MutateInput = OperationInput & { readonly shard?: ShardState };

export async function mutateDecky(input: MutateInput): Promise<OperationSummary> {
  const gate = new Gate(input);
  const lane = new Lane(input.operationId);
  setCurrentDetails('**Waiting for** the request to be accepted');
  const acceptance = await gate.pass();
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

const attributesOf = ({ hostUuid, names }: LocalPart): TypedSearchAttributes =>
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
  part: LocalPart,
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

async function endCancelled(part: LocalPart): Promise<Counts> {
  const rows = await openRows({ workflowId: part.workflowId });
  const error = errorText('Cancelled', 'the mutation was cancelled before it began; the decky was left as it was.');
  await recordTransitions({ transitions: failedRows(rows, error) });
  return { succeeded: 0, failed: rows.length };
}

async function endUnwritten(part: LocalPart, failure: unknown): Promise<Counts> {
  const rows = await openRows({ workflowId: part.workflowId });
  await settleLost(rows, unwritten(failure));
  return { succeeded: part.names.length - rows.length, failed: rows.length };
}
