/** Before deckies of a host come up on others it takes them down: on one network they have the same addresses. */
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

/** Never fails: what could not be taken down is owed (owed-teardowns.ts), and goes when the host is back. */
export async function leaveHost(leave: Leave, lane: Lane, waits: Waits): Promise<void> {
  const { operationId, hostUuid, hostName, hostLostAfterMs, names } = leave;
  waits.begin('leaving', `host \`${hostName}\` to take ${names.length} deckies down, which move to others`);
  try {
    if (leave.reachable) {
      await lane.enter(hostUuid);
      await Promise.all(
        names.map((deckyName) =>
          onAgent(REMOTE_TEARDOWN(hostLostAfterMs), `take down ${deckyName} on ${hostName}`)
            .tearDownOnHost({ hostUuid, operationId, deckyName })
            .catch(() => undefined),
        ),
      );
    }
  } catch {
    // Cancelled while it waited for its turn: the shards say so, each for its rows.
  } finally {
    await lane.leave(hostUuid);
    waits.end('leaving');
  }
}
