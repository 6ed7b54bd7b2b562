/**
 * The part of a deployment that belongs to other hosts.
 *
 * 1. {@link runShards}: a child workflow for each host, at most `max_parallel` at work at the same time.
 * 2. {@link Slots}: who holds one of the `max_parallel` slots, and who waits for one.
 * 3. {@link runGroups}: a large deployment has a child for each group of hosts, so that no history becomes too long.
 */
import {
  CancellationScope,
  type ChildWorkflowHandle,
  condition,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { errorText } from '../fleet/errors.ts';
import { hostGroups, widthOf } from '../fleet/hosts.ts';
import { groupWorkflowId } from '../fleet/housekeeping.ts';
import { OPERATION } from '../fleet/lifecycle.ts';
import { grantsForGoodFrom, HOSTS_PER_GROUP } from '../fleet/limits.ts';
import type { RolloutTerms } from '../operations/store.ts';
import { endHosts, hostParts, openRows, settleShard } from './activities.ts';
import { PartDetails } from './details.ts';
import { lostTransitions } from './lost-rows.ts';
import { type OperationInput, slotGrantedSignal, slotSignal } from './messages.ts';
import { addCounts, type Counts, failedRows, groupAttributes, shardAttributes, Window } from './operation.ts';
import { type deployShard, type HostPart, isOfHost, shardInput } from './shard.ts';

/**
 * Children that are being started at the same time. Temporal starts each by a task that wants the parent's lock. Two hundred at
 * once stand in each other's way, and those that gave up wait a second and more while nothing is done.
 */
const STARTS = 8;
/** Temporal lets a workflow have 2,000 children, and 2,000 activities, at once. */
const CHILDREN = 1_000;
const ENDS = 100;

const NOT_BEGUN = errorText('Cancelled', 'the deployment was cancelled before this host was begun.');

type Input = Pick<OperationInput, 'operationId' | 'searchAttributes'>;

export interface Hosts {
  readonly parts: readonly HostPart[];
  readonly rollout: RolloutTerms;
  /** How many may be at work at the same time. */
  readonly width: number;
}

export async function runShards(
  input: Input,
  { parts, rollout, width }: Hosts,
  slots: Slots,
  details: PartDetails,
): Promise<Counts> {
  const bounded = width < parts.length;
  if (bounded) slots.open(width, grantsForGoodFrom(parts.length));
  const workflowIds = new Map(parts.map((part) => [part.hostUuid, part.workflowId]));
  const starts = new Window(STARTS);
  const children = new Window(CHILDREN);
  const ends = new Window(ENDS);
  let left = parts.length;
  // Non-cancellable on purpose. On cancellation the shards finish, `left` reaches 0 and the loop ends. If the loop itself were
  // cancelled, its promise would reject before anyone awaits it, and the unhandled rejection would fail the workflow task in a loop.
  const granting = CancellationScope.nonCancellable(async () => {
    if (!bounded) return;
    await slots.grant(
      (hostUuid) => workflowIds.get(hostUuid),
      () => left === 0,
    );
  });
  const summaries = await Promise.all(
    parts.map(async (part) => {
      const { hostUuid } = part;
      // One that has to wait for its turn begins without a slot, and asks for one then.
      const slot = bounded ? part.turn === true : null;
      try {
        return await children.run(async () => {
          if (slot) await slots.take(hostUuid);
          details.begin(
            part.workflowId,
            `\`${part.workflowId}\`: ${part.names.length} deckies on host ${part.hostName ?? hostUuid}`,
          );
          const shard = await starts.run(() => startShard(input, rollout, part, slot));
          return await shard.result();
        });
      } catch (failure) {
        return await CancellationScope.nonCancellable(() => ends.run(() => endRows(part, input.operationId, failure)));
      } finally {
        left -= 1;
        details.end(part.workflowId);
        slots.leave(hostUuid);
      }
    }),
  );
  await granting;
  return addCounts(summaries);
}

const startShard = (
  { operationId, searchAttributes }: Input,
  rollout: RolloutTerms,
  part: HostPart,
  slot: boolean | null,
): Promise<ChildWorkflowHandle<typeof deployShard>> => {
  const input = shardInput(operationId, part, rollout, slot);
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
  const transitions = isCancellation(failure) ? failedRows(rows, NOT_BEGUN) : await lostTransitions(rows);
  await settleShard({ transitions, release: { hostUuid: part.hostUuid, operationId } });
  return { succeeded: part.names.length - rows.length, failed: rows.length };
}

/** The deployment's window over dispatching. While all goes well no signal is needed: a shard starts with a slot. */
export class Slots {
  private size = Number.POSITIVE_INFINITY;
  private forGoodFrom = Number.POSITIVE_INFINITY;
  private readonly holders = new Set<string>();
  private readonly asking: string[] = [];
  /** Hosts that were not begun yet. */
  private readonly queue: string[] = [];

  /** Sets the handler of the signal by which shards ask: make it before the workflow's first await. */
  constructor() {
    setHandler(slotSignal, ({ hostUuid, wants }) => {
      if (wants) this.asking.push(hostUuid);
      else this.leave(hostUuid);
    });
  }

  /** `forGoodFrom`: the length of the history from which a slot is granted for good. */
  open(size: number, forGoodFrom: number): void {
    this.size = size;
    this.forGoodFrom = forGoodFrom;
  }

  private get free(): boolean {
    return this.holders.size < this.size;
  }

  /** Resolves when the host has a slot; those that ask by signal come first, since they were begun earlier. */
  async take(hostUuid: string): Promise<void> {
    this.queue.push(hostUuid);
    // Only the first may go: two whose condition came true together would both go in.
    await condition(() => this.free && this.asking.length === 0 && this.queue[0] === hostUuid);
    this.queue.shift();
    this.holders.add(hostUuid);
  }

  /** The host's shard has ended, or has no use for a slot now. */
  leave(hostUuid: string): void {
    this.holders.delete(hostUuid);
    const at = this.asking.indexOf(hostUuid);
    if (at >= 0) this.asking.splice(at, 1);
  }

  /** Grants slots to shards that ask, until `done`. `workflowIdOf`: the shard of a host. */
  async grant(workflowIdOf: (hostUuid: string) => string | undefined, done: () => boolean): Promise<void> {
    for (;;) {
      await condition(() => done() || (this.free && this.asking.length > 0));
      if (done()) return;
      const hostUuid = this.asking.shift();
      const workflowId = hostUuid && workflowIdOf(hostUuid);
      if (!hostUuid || !workflowId) continue;
      this.holders.add(hostUuid);
      const forGood = workflowInfo().historyLength >= this.forGoodFrom;
      // A shard that has ended meanwhile needs none.
      await getExternalWorkflowHandle(workflowId)
        .signal(slotGrantedSignal, { forGood })
        .catch(() => this.holders.delete(hostUuid));
    }
  }
}

interface ManyHosts {
  readonly hostUuids: readonly string[];
  readonly rollout: RolloutTerms;
}

interface DeployShardsInput extends Input, ManyHosts {
  /** The group's share of `max_parallel`. */
  readonly width: number;
}

/** A group of a large deployment's hosts (`deploy/<id>/hosts/<n>`): it begins their shards. */
export async function deployShards(input: DeployShardsInput): Promise<Counts> {
  const { operationId, hostUuids, rollout, width } = input;
  const slots = new Slots();
  const details = new PartDetails();
  const parts = (await hostParts({ operationId, hostUuids })).filter(isOfHost);
  return runShards(input, { parts, rollout, width }, slots, details);
}

export async function runGroups(
  input: OperationInput,
  { hostUuids, rollout }: ManyHosts,
  details: PartDetails,
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
          details.begin(workflowId, `\`${workflowId}\`: ${group.length} hosts, ${own} at a time`);
          try {
            return await runGroup(input, workflowId, { hostUuids: group, rollout, width: own });
          } finally {
            free.push(own);
          }
        });
      } catch (failure) {
        return await CancellationScope.nonCancellable(() => endGroup(input, workflowId, group, failure));
      } finally {
        details.end(workflowId);
      }
    }),
  );
  return addCounts(counts);
}

const runGroup = (
  { operationId, searchAttributes }: OperationInput,
  workflowId: string,
  hosts: ManyHosts & { readonly width: number },
): Promise<Counts> =>
  executeChild<typeof deployShards>('deployShards', {
    workflowId,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    args: [{ operationId, searchAttributes, ...hosts }],
    staticSummary: `${hosts.hostUuids.length} hosts`,
    ...(searchAttributes ? { typedSearchAttributes: groupAttributes(OPERATION.deploy) } : {}),
  });

/** A group that was not begun because of a cancellation, or that somebody ended, has left rows and lanes open. */
function endGroup(
  { operationId }: OperationInput,
  workflowId: string,
  hostUuids: readonly string[],
  failure: unknown,
): Promise<Counts> {
  if (isCancellation(failure)) return endHosts({ operationId, hostUuids, error: NOT_BEGUN });
  const sentence = `${workflowId} ended without ending this row; what runs is unknown. Deploy it again to be sure.`;
  return endHosts({ operationId, hostUuids, error: errorText('WorkflowLost', sentence), unsure: true });
}
