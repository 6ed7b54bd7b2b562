/** `deckhand host drain` and `remove`: deckies go down first, within a bound, and what could not be reached is named. */
import { hasEnded } from '../../fleet/lifecycle.ts';
import type { OperationRow } from '../api-types.ts';
import { type Context, printJson } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import type { HostView } from '../hosts.ts';
import { type Outcome, openIds, takeDownTogether } from '../take-down.ts';
import { counted, deckies, harmless, indented } from '../text.ts';
import { viewFor } from '../views.ts';
import { type Snapshot, watchRows } from '../watch.ts';
import { followReader } from './follow.ts';

export interface DrainOptions {
  readonly move?: boolean;
  readonly undo?: boolean;
  readonly timeout?: number;
  readonly yes?: boolean;
}

export interface RemoveOptions {
  readonly selfDestruct?: boolean;
  readonly timeout?: number;
  readonly yes?: boolean;
}

/** A host that is gone is given up after 90 s, and its rows end 30 s later at most: this sees their end. */
export const DEFAULT_BOUND_MS = 150_000;

interface Emptied {
  readonly down: readonly string[];
  /** Deckies that may still run there, and why. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
}

/** No new deckies, and those that it has go down. */
export async function drainHost(context: Context, name: string, options: DrainOptions): Promise<ExitCode> {
  const { io, json, hosts } = context;
  const host = await hosts.named(name);
  if (options.undo) {
    await hosts.change(host.uuid, { draining: false });
    if (json) printJson(io, { host: host.name, draining: false });
    else io.out(`${host.name} takes new deckies again.`);
    return EXIT.succeeded;
  }
  const names = await deckiesOn(context, host);
  await agree(context, `Drain ${host.name}: take down ${listed(names)}?`, names.length === 0 || options.yes === true);
  await hosts.change(host.uuid, { draining: true });
  const emptied = await empty(context, host, names, options.timeout ?? DEFAULT_BOUND_MS);
  if (json) printJson(io, { host: host.name, draining: true, ...emptied });
  else
    io.out(
      `${host.name} is draining: ${deckies(emptied.down.length)} down, ${emptied.left.length} left. It gets no new ones.`,
    );
  return emptied.left.length === 0 ? EXIT.succeeded : EXIT.someFailed;
}

/** Empties the host, then forgets it: its certificate is worth nothing from that moment. */
export async function removeHost(context: Context, name: string, options: RemoveOptions): Promise<ExitCode> {
  const { io, json, hosts } = context;
  const host = await hosts.named(name);
  const names = await deckiesOn(context, host);
  const question = `Remove ${host.name}${names.length > 0 ? `, and take down ${listed(names)}` : ''}?`;
  await agree(context, question, options.yes === true);
  await hosts.change(host.uuid, { draining: true });
  const emptied = await empty(context, host, names, options.timeout ?? DEFAULT_BOUND_MS);
  await hosts.remove(host.uuid, options.selfDestruct === true);
  if (json) printJson(io, { host: host.name, removed: true, ...emptied });
  else {
    io.out(`${host.name} is removed; its certificate is revoked.`);
    if (emptied.left.length > 0)
      io.err(
        `Containers of ${counted(emptied.left.length, 'decky', 'deckies')} may still run on it. ` +
          'Remove them there: those with the label deckhand.decky of the agent’s project.',
      );
  }
  return emptied.left.length === 0 ? EXIT.succeeded : EXIT.someFailed;
}

export async function deckiesOn(context: Context, host: HostView): Promise<string[]> {
  const { deckies: all } = await context.master.fleet();
  return all.filter((decky) => decky.host_uuid === host.uuid).map((decky) => decky.name);
}

export const listed = (names: readonly string[]): string =>
  `${deckies(names.length)}${names.length > 0 ? ` (${names.map(harmless).join(', ')})` : ''}`;

export async function agree(context: Context, question: string, agreed: boolean): Promise<void> {
  if (agreed || (await context.io.confirm(question))) return;
  throw new CliError(EXIT.refused, 'Nothing was changed: it was not agreed to.', {
    advice: 'Without a terminal, say --yes.',
  });
}

async function empty(context: Context, host: HostView, names: readonly string[], boundMs: number): Promise<Emptied> {
  const { io, json, master, hosts } = context;
  const deadline = Date.now() + boundMs;
  const outcomes = await takeDownTogether(context, names, () => hosts.teardown(host.uuid), deadline);
  const ids = openIds(outcomes);
  const watched =
    ids.length === 0
      ? null
      : await watchRows(followReader(master, null, ids), viewFor(io, json), {
          timeoutMs: Math.max(0, deadline - Date.now()),
          interrupted: io.interrupted,
        });
  if (watched?.end === 'interrupted') io.interrupted.throwIfAborted();
  const emptied = sortOut(outcomes, watched?.snapshot ?? null);
  if (!json)
    for (const { name, reason } of emptied.left)
      io.err(`${io.colours.red('✗')} ${name} is not down: ${indented(reason, '    ').trimStart()}`);
  return emptied;
}

function sortOut(outcomes: readonly Outcome[], snapshot: Snapshot | null): Emptied {
  const rows = new Map((snapshot?.rows ?? []).map((row) => [row.id, row]));
  const judged = outcomes.map((outcome) => ({ name: outcome.name, reason: whyNotDown(outcome, rows) }));
  return {
    down: judged.filter(({ reason }) => reason === null).map(({ name }) => name),
    left: judged.flatMap(({ name, reason }) => (reason === null ? [] : [{ name, reason }])),
  };
}

function whyNotDown(outcome: Outcome, rows: ReadonlyMap<string, OperationRow>): string | null {
  if (outcome.kind === 'down') return null;
  if (outcome.kind === 'refused') return outcome.sentence;
  const open = outcome.lifecycleIds.map((id) => rows.get(id));
  const failed = open.find((row) => row?.status === 'failed');
  if (failed) return failed.error ?? 'no reason was given';
  return open.every((row) => row && hasEnded(row.status)) ? null : 'its teardown goes on, but the wait ended first';
}
