/** Gives one decky other services (`mutate/<lifecycle_id>`); where they do not come up, what it was before comes back. */
import type { TypedSearchAttributes } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Acceptance, LocalPart } from '../activities/deployments.ts';
import { errorText } from '../fleet/errors.ts';
import { isSince, revisionOf } from '../fleet/history-revision.ts';
import { LOCAL_HOST, OPERATION } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import { Gate } from './acceptance.ts';
import { finishDeployment, openRows, recordTransitions } from './activities.ts';
import { deployLocal } from './deploy-local.ts';
import { workOnShard } from './deploy-shard.ts';
import { type Counts, failedRows } from './ended-rows.ts';
import { Lane } from './lane.ts';
import type { OperationInput, OperationSummary } from './messages.ts';
import { deckyAttributes, LIFECYCLE_OUTCOME, shardAttributes } from './search-attributes.ts';
import { sendRest } from './send-rest.ts';
import { type HostPart, isOfHost, shardInput } from './shard.ts';

type Accepted = Extract<Acceptance, { accepted: true }>;

export async function mutateDecky(input: OperationInput): Promise<OperationSummary> {
  const gate = new Gate(input);
  const lane = new Lane(input.operationId);
  setCurrentDetails('**Waiting for** the request to be accepted');
  const acceptance = await gate.pass();
  if (!acceptance.accepted) {
    setCurrentDetails(`Not accepted: ${acceptance.detail}`);
    await condition(allHandlersFinished);
    const outcome = acceptance.code === 'Withdrawn' ? 'not accepted' : 'refused';
    return { outcome, sentence: `${acceptance.code}: ${acceptance.detail}`, succeeded: 0, failed: 0 };
  }
  const [part] = acceptance.parts;
  if (part && input.searchAttributes) upsertSearchAttributes(attributesOf(part).getAll());
  const counts = part
    ? await (isOfHost(part) ? onHost(input, acceptance, part) : here(input, acceptance, part, lane))
    : { succeeded: 0, failed: 0 };
  await CancellationScope.nonCancellable(() => finishDeployment({ operationId: input.operationId }));
  const outcome = counts.failed > 0 ? 'failed' : 'succeeded';
  if (input.searchAttributes) upsertSearchAttributes([{ key: LIFECYCLE_OUTCOME, value: outcome }]);
  if (part?.hostUuid || isSince(1, input)) await sendRest();
  await condition(allHandlersFinished);
  return { outcome, sentence: outcome === 'succeeded' ? 'mutated' : 'not mutated', ...counts };
}

const attributesOf = ({ hostUuid, names }: LocalPart): TypedSearchAttributes =>
  hostUuid ? shardAttributes(hostUuid, names, OPERATION.mutate) : deckyAttributes(names, OPERATION.mutate);

/** A shard of one row: it enters the host's lane, and leaves it, by itself. */
const onHost = ({ operationId }: OperationInput, { rollout }: Accepted, part: HostPart): Promise<Counts> =>
  workOnShard(shardInput(operationId, part, rollout ?? ROLLOUT_DEFAULTS, null));

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
      ...revisionOf(input),
    });
  } catch (failure) {
    if (!isCancellation(failure)) throw failure;
    return await CancellationScope.nonCancellable(() => endCancelled(part));
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
