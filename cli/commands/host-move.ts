/** `deckhand host drain --move`: the host takes its deckies down, and they come up on others. */
import { type Context, printJson } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import { pause } from '../pause.ts';
import { deckies } from '../text.ts';
import { viewFor } from '../views.ts';
import { watchRows } from '../watch.ts';
import { followReader } from './follow.ts';
import { agree, DEFAULT_BOUND_MS, type DrainOptions, deckiesOn, listed } from './host-leave.ts';

const LOOK_MS = 2_000;

/** Exit code 2 when one did not come up, 5 when the wait ended before the host had taken all of them down. */
export async function moveAway(context: Context, name: string, options: DrainOptions): Promise<ExitCode> {
  const { io, json, hosts, master } = context;
  if (options.undo) throw new CliError(EXIT.couldNotAsk, '--move and --undo say opposite things.');
  const host = await hosts.named(name);
  const names = await deckiesOn(context, host);
  await agree(context, `Drain ${host.name}: move ${listed(names)}?`, names.length === 0 || options.yes === true);
  await hosts.change(host.uuid, { draining: true });
  const deadline = Date.now() + (options.timeout ?? DEFAULT_BOUND_MS);
  const moved = names.length === 0 ? null : await hosts.move(host.uuid);
  const watched =
    moved &&
    (await watchRows(followReader(master, moved.deploymentId, []), viewFor(io, json), {
      timeoutMs: Math.max(0, deadline - Date.now()),
      interrupted: io.interrupted,
    }));
  if (watched?.end === 'interrupted') io.interrupted.throwIfAborted();
  const rows = watched?.snapshot?.rows ?? [];
  const failed = rows.filter((row) => row.status === 'failed').length;
  const owes = await untilNothingIsOwed(context, host.uuid, deadline);
  const up = rows.filter((row) => row.status === 'succeeded').length;
  if (json) printJson(io, { host: host.name, draining: true, moved: up, failed, owes });
  else
    io.out(
      `${host.name} is draining: ${deckies(up)} moved, ${failed} failed; ${owes === 0 ? 'nothing of them runs there any more' : `it still has ${deckies(owes)} to take down, when it can be reached`}.`,
    );
  if (failed > 0) return EXIT.someFailed;
  return owes === 0 && up === names.length ? EXIT.succeeded : EXIT.stillRunning;
}

async function untilNothingIsOwed({ hosts, io }: Context, uuid: string, deadline: number): Promise<number> {
  for (;;) {
    const { owes = 0 } = await hosts.named(uuid);
    if (owes === 0 || Date.now() + LOOK_MS > deadline) return owes;
    await pause(LOOK_MS, io.interrupted);
  }
}
