/** `deckhand host drain` and `remove`: deckies go down first, or to other hosts, and what could not be reached is named. */
import { type Context, printJson } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import type { HostView } from '../hosts.ts';
import { counted, deckies, indented } from '../text.ts';
import { agree, DEFAULT_BOUND_MS, deckiesOn, type Emptied, listed } from './host-deckies.ts';
import { moveAll } from './host-move.ts';
import { takeDownOn } from './host-take-down.ts';

interface LeaveOptions {
  /** Its deckies go to other hosts. */
  readonly move?: boolean;
  readonly timeout?: number;
  readonly yes?: boolean;
}

export interface DrainOptions extends LeaveOptions {
  readonly undo?: boolean;
}

export interface RemoveOptions extends LeaveOptions {
  readonly selfDestruct?: boolean;
}

/** No new deckies, and those that it has go. */
export async function drainHost(context: Context, name: string, options: DrainOptions): Promise<ExitCode> {
  const { io, json, hosts } = context;
  if (options.undo && options.move) throw new CliError(EXIT.couldNotAsk, '--move and --undo say opposite things.');
  const host = await hosts.named(name);
  if (options.undo) {
    await hosts.change(host.uuid, { draining: false });
    if (json) printJson(io, { host: host.name, draining: false });
    else io.out(`${host.name} takes new deckies again.`);
    return EXIT.succeeded;
  }
  const names = await deckiesOn(context, host);
  const question = `Drain ${host.name}: ${verbOf(options)} ${listed(names)}?`;
  await agree(context, question, names.length === 0 || options.yes === true);
  const emptied = await empty(context, host, names, options);
  if (json) printJson(io, { host: host.name, draining: true, ...named(emptied, options) });
  else
    io.out(
      `${host.name} is draining: ${deckies(emptied.gone.length)} ${options.move ? 'moved' : 'down'}, ${emptied.left.length} left. It gets no new ones.`,
    );
  if (!json && emptied.owes > 0)
    io.err(`${host.name} can’t be reached, and takes ${deckies(emptied.owes)} down when it is back.`);
  return exitOf(emptied);
}

/** Empties the host, then forgets it: its certificate is worth nothing from that moment. */
export async function removeHost(context: Context, name: string, options: RemoveOptions): Promise<ExitCode> {
  const { io, json, hosts } = context;
  const host = await hosts.named(name);
  const names = await deckiesOn(context, host);
  const question = `Remove ${host.name}${names.length > 0 ? `, and ${verbOf(options)} ${listed(names)}` : ''}?`;
  await agree(context, question, options.yes === true);
  const emptied = await empty(context, host, names, options);
  await hosts.remove(host.uuid, options.selfDestruct === true);
  if (json) printJson(io, { host: host.name, removed: true, ...named(emptied, options) });
  else {
    io.out(`${host.name} is removed; its certificate is revoked.`);
    const still = options.move ? emptied.owes : emptied.left.length;
    if (still > 0)
      io.err(
        `Containers of ${counted(still, 'decky', 'deckies')} may still run on it. ` +
          'Remove them there: those with the label deckhand.decky of the agent’s project.',
      );
  }
  return exitOf(emptied);
}

const exitOf = ({ left, owes }: Emptied): ExitCode => {
  if (left.length > 0) return EXIT.someFailed;
  return owes > 0 ? EXIT.stillRunning : EXIT.succeeded;
};

const verbOf = ({ move }: LeaveOptions): string => (move ? 'move' : 'take down');

const named = ({ gone, left, owes }: Emptied, { move }: LeaveOptions) =>
  move ? { moved: gone, left, owes } : { down: gone, left };

async function empty(
  context: Context,
  host: HostView,
  names: readonly string[],
  { move, timeout = DEFAULT_BOUND_MS }: LeaveOptions,
): Promise<Emptied> {
  const { io, json, hosts } = context;
  // A move drains the host as it is accepted: one that is refused changes nothing.
  if (!move || names.length === 0) await hosts.change(host.uuid, { draining: true });
  const emptied = await (move ? moveAll : takeDownOn)(context, host, names, timeout);
  if (!json)
    for (const { name, reason } of emptied.left)
      io.err(
        `${io.colours.red('✗')} ${name} is not ${move ? 'moved' : 'down'}: ${indented(reason, '    ').trimStart()}`,
      );
  return emptied;
}
