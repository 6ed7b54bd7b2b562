/** Before deckies of a host come up on others it takes them down: on one network they have the same addresses. */
import { CancellationScope } from '@temporalio/workflow';
import { onAgent } from './activities.ts';
import type { Lane } from './lane.ts';
import { REMOTE_TEARDOWN } from './profiles.ts';
import { isSilence } from './take-down-on-host.ts';
import type { Waits } from './waits.ts';
import { Window } from './window.ts';

/** As an agent takes down at the same time, and some that wait there; Temporal lets a workflow have 2,000 at once. */
const AT_ONCE = 24;

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
  const { hostUuid, hostName, names } = leave;
  waits.begin('leaving', `host \`${hostName}\` to take ${names.length} deckies down, which move to others`);
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
    waits.end('leaving');
  }
}

/** A host that falls silent is waited for once: what it has left then is owed at once, not each after a wait of its own. */
async function takeDownAll({ operationId, hostUuid, hostName, hostLostAfterMs, names }: Leave): Promise<void> {
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
}
