/** Before deckies of a host come up on others it takes them down: on one network they have the same addresses. */
import { CancellationScope } from '@temporalio/workflow';
import { onAgent } from './activities.ts';
import type { Lane } from './lane.ts';
import { REMOTE_TEARDOWN } from './profiles.ts';
import type { Waits } from './waits.ts';

export interface Leave {
  readonly operationId: string;
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
export async function leaveHost(leave: Leave, lane: Lane, waits: Waits): Promise<boolean> {
  const { operationId, hostUuid, hostName, hostLostAfterMs, names } = leave;
  waits.begin('leaving', `host \`${hostName}\` to take ${names.length} deckies down, which move to others`);
  try {
    if (!leave.reachable) return false;
    await lane.enter(hostUuid);
    await CancellationScope.nonCancellable(() =>
      Promise.all(
        names.map((deckyName) =>
          onAgent(REMOTE_TEARDOWN(hostLostAfterMs), `take down ${deckyName} on ${hostName}`)
            .tearDownOnHost({ hostUuid, operationId, deckyName })
            .catch(() => undefined),
        ),
      ),
    );
    return true;
  } catch {
    // Cancelled while it waited for its turn: the shards say so, each for its rows.
    return false;
  } finally {
    await lane.leave(hostUuid);
    waits.end('leaving');
  }
}
