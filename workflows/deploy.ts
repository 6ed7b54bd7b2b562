/** One accepted deploy request, from acceptance to the end of its last row (docs/design.md#a-deploy-from-end-to-end). */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  executeChild,
  isCancellation,
  setCurrentDetails,
} from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { errorText } from '../fleet/errors.ts';
import { widthOf } from '../fleet/hosts.ts';
import { LOCAL_HOST, OPERATION } from '../fleet/lifecycle.ts';
import { LIMITS, ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import type { OperationPart } from '../operations/operation-parts.ts';
import { onEngine } from './activities.ts';
import { PartDetails } from './details.ts';
import { runGroups, runShards, Slots } from './hosts.ts';
import { type deployLocal, failAllAndFallBack } from './local.ts';
import { settleParts } from './lost-rows.ts';
import type { OperationInput, OperationSummary } from './messages.ts';
import {
  addCounts,
  type Counts,
  deckyAttributes,
  endNotAccepted,
  endOperation,
  Lane,
  RequestAcceptance,
  rowError,
} from './operation.ts';
import { CLEAN_UP } from './profiles.ts';
import { isOfHost } from './shard.ts';
import { leaveHost } from './teardown.ts';

/** Children of creations at the same time; the window of twelve deckies is shared out among them. */
const CHILDREN = 4;
const CANCELLED = errorText('Cancelled', 'the operation was cancelled before this decky was begun.');

export async function deployFleet(input: OperationInput): Promise<OperationSummary> {
  const request = new RequestAcceptance(input);
  const lane = new Lane(input.operationId);
  const slots = new Slots();
  setCurrentDetails('**Waiting for** the request to be accepted');
  const acceptance = await request.result();
  if (!acceptance.accepted) return endNotAccepted(input, acceptance);
  const local = acceptance.parts.filter((part) => !isOfHost(part));
  const shards = acceptance.parts.filter(isOfHost);
  const details = new PartDetails();
  let hasLeft = false;
  const rollout = acceptance.rollout ?? ROLLOUT_DEFAULTS;
  const hostUuids = acceptance.hostUuids ?? [];
  if (acceptance.leaving) {
    const names = acceptance.leaving.names ?? shards.flatMap((shard) => shard.names);
    const { hostLostAfterMs } = rollout;
    hasLeft = await leaveHost({ ...acceptance.leaving, ...input, hostLostAfterMs, names }, lane, details);
  }
  const hosts = { parts: shards, rollout, width: widthOf(rollout.maxParallel, shards.length) };
  const run = () =>
    Promise.all([
      ...(local.length > 0 ? [runLocal(input, { ...acceptance, parts: local }, lane, details)] : []),
      ...(shards.length > 0 ? [runShards(input, hosts, slots, details)] : []),
      ...(hostUuids.length > 0 ? [runGroups(input, { hostUuids, rollout }, details)] : []),
    ]);
  const counts = addCounts(await (hasLeft ? CancellationScope.nonCancellable(run) : run()));
  return endOperation(input, counts, () => `${counts.succeeded} succeeded, ${counts.failed} failed`);
}

async function runLocal(
  input: OperationInput,
  acceptance: Extract<Acceptance, { accepted: true }>,
  lane: Lane,
  details: PartDetails,
): Promise<Counts> {
  try {
    if (!acceptance.turn) {
      details.begin('turn', 'its turn on the Docker Engine: an operation that was accepted before still works there');
      await lane.enter(LOCAL_HOST);
      details.end('turn');
    }
    const refusal = acceptance.networkMoved ? await leaveNetwork() : null;
    if (refusal !== null)
      return await CancellationScope.nonCancellable(() => failAllAndFallBack(input, acceptance.parts, refusal));
    return await runParts(input, acceptance, details);
  } catch (failure) {
    if (!isCancellation(failure)) throw failure;
    return await CancellationScope.nonCancellable(() => settleParts(acceptance.parts, CANCELLED));
  } finally {
    await lane.leave(LOCAL_HOST);
  }
}

/** A row's error where no retry makes the new network. Any other failure is told by each decky that can't come up. */
async function leaveNetwork(): Promise<string | null> {
  try {
    await onEngine(CLEAN_UP, 'leave the old network').leaveNetwork();
    return null;
  } catch (failure) {
    if (isCancellation(failure)) throw failure;
    return isRefusal(failure) ? rowError(failure, 'progress_deadline') : null;
  }
}

const isRefusal = (failure: unknown): boolean =>
  failure instanceof ActivityFailure &&
  failure.cause instanceof ApplicationFailure &&
  failure.cause.nonRetryable === true;

/** Parts with removals go one by one and first; the others side by side. */
async function runParts(
  input: OperationInput,
  acceptance: Extract<Acceptance, { accepted: true }>,
  details: PartDetails,
): Promise<Counts> {
  const first = acceptance.parts.filter((part) => part.removals);
  const rest = acceptance.parts.filter((part) => !part.removals);
  const summaries: Counts[] = [];
  for (const part of acceptance.parts)
    details.begin(part.workflowId, `\`${part.workflowId}\`: ${part.names.length} deckies`);
  const run = async (part: OperationPart, parallel: number): Promise<Counts> => {
    const summary = await runPart(input, acceptance, part, parallel);
    details.end(part.workflowId);
    return summary;
  };
  for (const part of first) summaries.push(await run(part, LIMITS.localParallel));
  const lanes = Math.max(1, Math.min(CHILDREN, rest.length));
  const queue = [...rest];
  const worker = async (): Promise<void> => {
    for (let part = queue.shift(); part; part = queue.shift())
      summaries.push(await run(part, Math.floor(LIMITS.localParallel / lanes)));
  };
  await Promise.all(Array.from({ length: lanes }, worker));
  return addCounts(summaries);
}

async function runPart(
  input: OperationInput,
  acceptance: Extract<Acceptance, { accepted: true }>,
  part: OperationPart,
  parallel: number,
): Promise<Counts> {
  try {
    return await executeChild<typeof deployLocal>('deployLocal', {
      workflowId: part.workflowId,
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [
        {
          operationId: input.operationId,
          parallel,
          progressDeadlineMs: acceptance.progressDeadlineMs,
        },
      ],
      staticSummary: `${part.names.length} local deckies`,
      ...(input.searchAttributes ? { typedSearchAttributes: deckyAttributes(part.names, OPERATION.deploy) } : {}),
    });
  } catch (failure) {
    return CancellationScope.nonCancellable(() => settleParts([part], isCancellation(failure) ? CANCELLED : null));
  }
}
