/** The part of a deployment that belongs to other hosts: a child workflow each, at most `max_parallel` at work at once. */
import { CancellationScope, type ChildWorkflowHandle, isCancellation, startChild } from '@temporalio/workflow';
import { errorText } from '../fleet/errors.ts';
import { OPERATION } from '../fleet/lifecycle.ts';
import { grantsForGoodFrom } from '../fleet/limits.ts';
import type { Rollout } from '../operations/store.ts';
import { openRows, settleShard } from './activities.ts';
import type { deployShard } from './deploy-shard.ts';
import { addCounts, type Counts, failedRows } from './ended-rows.ts';
import type { OperationInput } from './messages.ts';
import type { Places } from './places.ts';
import { shardAttributes } from './search-attributes.ts';
import { lostTransitions } from './settle-lost.ts';
import { type HostPart, shardInput } from './shard.ts';
import type { Waits } from './waits.ts';
import { Window } from './window.ts';

/**
 * Children that are being started at the same time. Temporal starts each by a task that wants the parent's lock; two hundred at
 * once stand in each other's way, and those that gave up wait a second and more while nothing is done.
 */
const STARTS = 8;
/** Temporal lets a workflow have 2,000 children, and 2,000 activities, at once. */
const CHILDREN = 1_000;
const ENDS = 100;

type Input = Pick<OperationInput, 'operationId' | 'searchAttributes'>;

export interface Hosts {
  readonly parts: readonly HostPart[];
  readonly rollout: Rollout;
  /** How many may be at work at the same time. */
  readonly width: number;
}

export async function runShards(
  input: Input,
  { parts, rollout, width }: Hosts,
  places: Places,
  waits: Waits,
): Promise<Counts> {
  const bounded = width < parts.length;
  if (bounded) places.open(width, grantsForGoodFrom(parts.length));
  const workflowIds = new Map(parts.map((part) => [part.hostUuid, part.workflowId]));
  const starts = new Window(STARTS);
  const children = new Window(CHILDREN);
  const ends = new Window(ENDS);
  let left = parts.length;
  // A cancellation ends it by the shards' ends: its own rejection, which nobody awaits before those, would fail the workflow's task again and again.
  const granting = CancellationScope.nonCancellable(async () => {
    if (!bounded) return;
    await places.grant(
      (hostUuid) => workflowIds.get(hostUuid),
      () => left === 0,
    );
  });
  const summaries = await Promise.all(
    parts.map(async (part) => {
      const { hostUuid } = part;
      // One that has to wait for its turn begins without a place, and asks for one then.
      const place = bounded ? part.turn === true : null;
      try {
        return await children.run(async () => {
          if (place) await places.take(hostUuid);
          waits.begin(
            part.workflowId,
            `\`${part.workflowId}\`: ${part.names.length} deckies on host ${part.hostName ?? hostUuid}`,
          );
          const shard = await starts.run(() => startShard(input, rollout, part, place));
          return await shard.result();
        });
      } catch (failure) {
        return await CancellationScope.nonCancellable(() => ends.run(() => endRows(part, input.operationId, failure)));
      } finally {
        left -= 1;
        waits.end(part.workflowId);
        places.leave(hostUuid);
      }
    }),
  );
  await granting;
  return addCounts(summaries);
}

const startShard = (
  { operationId, searchAttributes }: Input,
  rollout: Rollout,
  part: HostPart,
  place: boolean | null,
): Promise<ChildWorkflowHandle<typeof deployShard>> => {
  const input = shardInput(operationId, part, rollout, place);
  return startChild<typeof deployShard>('deployShard', {
    workflowId: part.workflowId,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    args: [input],
    staticSummary: `${part.names.length} deckies on ${input.hostName}`,
    ...(searchAttributes
      ? { typedSearchAttributes: shardAttributes(part.hostUuid, part.names, OPERATION.deploy) }
      : {}),
  });
};

/** A shard that was terminated or failed left rows open; one that never began because of a cancellation, too. */
async function endRows(part: HostPart, operationId: string, failure: unknown): Promise<Counts> {
  const rows = await openRows({ workflowId: part.workflowId });
  const cancelled = errorText('Cancelled', 'the deployment was cancelled before this host was begun.');
  const transitions = isCancellation(failure) ? failedRows(rows, cancelled) : await lostTransitions(rows);
  await settleShard({ transitions, release: { hostUuid: part.hostUuid, operationId } });
  return { succeeded: part.names.length - rows.length, failed: rows.length };
}
