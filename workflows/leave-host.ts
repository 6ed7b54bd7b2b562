/** Before deckies of a host come up on others it takes them down: on one network they have the same addresses. */
import { CancellationScope, executeChild } from '@temporalio/workflow';
import { leaveWorkflowId } from '../fleet/housekeeping.ts';
import { OPERATION } from '../fleet/lifecycle.ts';
import { LEAVING_IN_PLACE, LEAVING_PER_CHILD } from '../fleet/limits.ts';
import { onAgent } from './activities.ts';
import type { PartDetails } from './details.ts';
import type { Lane } from './lane.ts';
import { REMOTE_TEARDOWN } from './profiles.ts';
import { groupAttributes } from './search-attributes.ts';
import { isSilence } from './take-down-on-host.ts';
import { Window } from './window.ts';

/** As an agent takes down at the same time, and some that wait there; Temporal lets a workflow have 2,000 at once. */
const AT_ONCE = 24;

export interface Leave {
  readonly operationId: string;
  readonly searchAttributes: boolean;
  readonly hostUuid: string;
  readonly hostName: string;
  readonly reachable: boolean;
  readonly hostLostAfterMs: number;
  readonly names: readonly string[];
}

/**
 * Never fails: what could not be taken down is owed (owed-teardowns.ts), and goes when the host is back. True once the host was
 * told: from then on a cancellation comes too late, since deckies that it has let go of would run nowhere.
 */
export async function leaveHost(leave: Leave, lane: Lane, details: PartDetails): Promise<boolean> {
  const { hostUuid, hostName, names } = leave;
  details.begin('leaving', `host \`${hostName}\` to take ${names.length} deckies down, which move to others`);
  try {
    if (!leave.reachable) return false;
    await lane.enter(hostUuid);
    await CancellationScope.nonCancellable(() => takeDownAll(leave));
    return true;
  } catch {
    // Cancelled while it waited for its turn: the shards say so, each for its rows.
    return false;
  } finally {
    await lane.leave(hostUuid);
    details.end('leaving');
  }
}

/** Many are taken down by children, one after another, so that no history becomes too long. */
async function takeDownAll(leave: Leave): Promise<void> {
  const { operationId, names, hostName, searchAttributes } = leave;
  if (names.length <= LEAVING_IN_PLACE) {
    await takeDownLeaving(leave);
    return;
  }
  for (let at = 0; at < names.length; at += LEAVING_PER_CHILD) {
    const some = names.slice(at, at + LEAVING_PER_CHILD);
    const child = executeChild<typeof takeDownLeaving>('takeDownLeaving', {
      workflowId: leaveWorkflowId(operationId, at / LEAVING_PER_CHILD + 1),
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [{ ...leave, names: some }],
      staticSummary: `${some.length} deckies leave ${hostName}`,
      ...(searchAttributes ? { typedSearchAttributes: groupAttributes(OPERATION.deploy) } : {}),
    });
    // What a child left that somebody ended is owed, as what failed is.
    const { lost } = await child.catch(() => ({ lost: false }));
    if (lost) return;
  }
}

/**
 * Takes these down. A host that falls silent is waited for once: what it has left then is owed at once, not each after a wait of
 * its own, and `lost` is true.
 */
export async function takeDownLeaving({
  operationId,
  hostUuid,
  hostName,
  hostLostAfterMs,
  names,
}: Leave): Promise<{ readonly lost: boolean }> {
  const window = new Window(AT_ONCE);
  let lastSign = Date.now();
  let lost = false;
  await Promise.all(
    names.map((deckyName) =>
      window.run(async () => {
        if (lost) return;
        const begun = Date.now();
        try {
          const agent = onAgent(REMOTE_TEARDOWN(hostLostAfterMs), `take down ${deckyName} on ${hostName}`);
          await agent.tearDownOnHost({ hostUuid, operationId, deckyName });
          lastSign = Date.now();
        } catch (failure) {
          // It is owed.
          if (!isSilence(failure)) lastSign = Date.now();
          else if (lastSign <= begun) lost = true;
        }
      }),
    ),
  );
  return { lost };
}
