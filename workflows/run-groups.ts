/** The hosts of a large deployment: a child for each group of them, each with its share of `max_parallel`. */
import { CancellationScope, executeChild, isCancellation } from '@temporalio/workflow';
import { errorText } from '../fleet/errors.ts';
import { hostGroups, widthOf } from '../fleet/hosts.ts';
import { groupWorkflowId } from '../fleet/housekeeping.ts';
import { OPERATION } from '../fleet/lifecycle.ts';
import { HOSTS_PER_GROUP } from '../fleet/limits.ts';
import type { Rollout } from '../operations/store.ts';
import { endHosts } from './activities.ts';
import type { deployShards } from './deploy-shards.ts';
import { addCounts, type Counts } from './ended-rows.ts';
import type { OperationInput } from './messages.ts';
import { groupAttributes } from './search-attributes.ts';
import type { Waits } from './waits.ts';
import { Window } from './window.ts';

interface ManyHosts {
  readonly hostUuids: readonly string[];
  readonly rollout: Rollout;
}

export async function runGroups(
  input: OperationInput,
  { hostUuids, rollout }: ManyHosts,
  waits: Waits,
): Promise<Counts> {
  const width = widthOf(rollout.maxParallel, hostUuids.length);
  const { groups, widths } = hostGroups(hostUuids, width, input.hostsPerGroup ?? HOSTS_PER_GROUP);
  const free = [...widths];
  const window = new Window(widths.length);
  const counts = await Promise.all(
    groups.map(async (group, at) => {
      const workflowId = groupWorkflowId(input.operationId, at + 1);
      try {
        return await window.run(async () => {
          const own = free.shift() ?? 1;
          waits.begin(workflowId, `\`${workflowId}\`: ${group.length} hosts, ${own} at a time`);
          try {
            return await runGroup(input, workflowId, { hostUuids: group, rollout, width: own });
          } finally {
            free.push(own);
          }
        });
      } catch (failure) {
        return await CancellationScope.nonCancellable(() => endGroup(input, workflowId, group, failure));
      } finally {
        waits.end(workflowId);
      }
    }),
  );
  return addCounts(counts);
}

const runGroup = (
  input: OperationInput,
  workflowId: string,
  hosts: ManyHosts & { readonly width: number },
): Promise<Counts> =>
  executeChild<typeof deployShards>('deployShards', {
    workflowId,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    args: [
      {
        operationId: input.operationId,
        searchAttributes: input.searchAttributes,
        ...hosts,
      },
    ],
    staticSummary: `${hosts.hostUuids.length} hosts`,
    ...(input.searchAttributes ? { typedSearchAttributes: groupAttributes(OPERATION.deploy) } : {}),
  });

/** A group that was not begun because of a cancellation, or that somebody ended, has left rows and lanes open. */
const endGroup = (
  { operationId }: OperationInput,
  workflowId: string,
  hostUuids: readonly string[],
  failure: unknown,
): Promise<Counts> =>
  isCancellation(failure)
    ? endHosts({
        operationId,
        hostUuids,
        error: errorText('Cancelled', 'the deployment was cancelled before this host was begun.'),
      })
    : endHosts({
        operationId,
        hostUuids,
        error: errorText(
          'WorkflowLost',
          `${workflowId} ended without ending this row; what runs is unknown. Deploy it again to be sure.`,
        ),
        unsure: true,
      });
