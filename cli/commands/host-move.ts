/** Moves what a host has: it takes each decky down, then that comes up on another host. */
import type { Context } from '../context.ts';
import type { HostView } from '../hosts.ts';
import { pause } from '../pause.ts';
import { follow } from './follow.ts';
import type { Emptied } from './host-deckies.ts';

const LOOK_MS = 2_000;

/** The host drains from the moment of acceptance; where that is refused, nothing has changed. */
export async function moveAll(
  context: Context,
  host: HostView,
  names: readonly string[],
  boundMs: number,
): Promise<Emptied> {
  const { io, hosts } = context;
  if (names.length === 0) return { gone: [], left: [], owes: 0 };
  const deadline = Date.now() + boundMs;
  const { deploymentId, ids } = await hosts.move(host.uuid);
  const lifecycleIds = deploymentId === null ? ids : [];
  const { end, snapshot } = await follow(context, { id: deploymentId, lifecycleIds, deadline });
  if (end === 'interrupted') io.interrupted.throwIfAborted();
  const left = snapshot.rows
    .filter((row) => row.status !== 'succeeded')
    .map((row) => ({
      name: row.decky_name,
      reason:
        row.status === 'failed'
          ? `it did not come up elsewhere: ${row.error ?? 'no reason was given'}`
          : 'its move goes on, but the wait ended first',
    }));
  const gone = snapshot.rows.filter((row) => row.status === 'succeeded').map((row) => row.decky_name);
  const owes = await untilNothingIsOwed(context, host.uuid, deadline);
  return { gone, left, owes };
}

async function untilNothingIsOwed({ hosts, io }: Context, uuid: string, deadline: number): Promise<number> {
  for (;;) {
    const { owes = 0 } = await hosts.named(uuid);
    if (owes === 0 || Date.now() + LOOK_MS > deadline) return owes;
    await pause(LOOK_MS, io.interrupted);
  }
}
