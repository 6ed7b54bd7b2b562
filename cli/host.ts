/**
 * `deckhand host`.
 *
 * 1. enrol, list, show, check, renew
 * 2. drain and remove: deckies go down or to other hosts first, and what could not be reached is named
 * 3. moving a host's deckies
 * 4. taking a host's deckies down
 */

import { hasEnded } from '../fleet/lifecycle.ts';
import { type Context, printJson } from './context.ts';
import { CliError, EXIT, type ExitCode } from './errors.ts';
import { follow } from './follow.ts';
import { pause } from './io.ts';
import type { Snapshot } from './live.ts';
import type { HostView, RowView } from './master.ts';
import { hostPlace, renderHost, renderHosts } from './render.ts';
import { type Outcome, openIds, takeDownTogether } from './teardown.ts';
import { counted, deckies, harmless, indented } from './text.ts';

interface EnrollOptions {
  readonly port?: number;
  readonly sans?: readonly string[];
  readonly notes?: string;
  readonly ipvlan?: boolean;
}

/** Prints one command for the host. The token in it is good for one use and a quarter of an hour. */
export async function enroll(
  context: Context,
  name: string,
  address: string,
  { port, sans, notes, ipvlan }: EnrollOptions,
): Promise<ExitCode> {
  const { io } = context;
  const enrollment = await context.hosts.enroll({
    name,
    address,
    ...(port !== undefined && { agent_port: port }),
    ...(sans !== undefined && { sans: [...sans] }),
    ...(notes !== undefined && { notes }),
    ...(ipvlan && { use_ipvlan: true }),
  });
  if (context.json) printJson(io, enrollment);
  else {
    io.err(`Run this on ${name}, before ${enrollment.expires_at} (it works once):`);
    io.out(enrollment.command);
  }
  return EXIT.succeeded;
}

export async function listHosts(context: Context): Promise<ExitCode> {
  const [hosts, fleet] = await Promise.all([context.hosts.list(), context.master.fleet()]);
  if (context.json) printJson(context.io, { hosts });
  else context.io.out(renderHosts(hosts, fleet.deckies, context.io.colours, Date.now()));
  return EXIT.succeeded;
}

export async function showHost(context: Context, name: string): Promise<ExitCode> {
  const [host, fleet] = await Promise.all([context.hosts.named(name), context.master.fleet()]);
  const deckies = fleet.deckies.filter((decky) => decky.host_uuid === host.uuid);
  if (context.json) printJson(context.io, { ...host, deckies });
  else context.io.out(renderHost(host, deckies, context.io.colours, Date.now()));
  return EXIT.succeeded;
}

/** Asks the agents now. 2 when one does not answer. */
export async function checkHosts(context: Context, name: string | undefined): Promise<ExitCode> {
  const { io, json } = context;
  const hosts = name === undefined ? await context.hosts.list() : [await context.hosts.named(name)];
  const results = hosts.map((host) => ({ host, reachable: host.status === 'active' }));
  if (json) printJson(io, { results: results.map(({ host, reachable }) => ({ ...brief(host), reachable })) });
  else if (hosts.length === 0) io.out('No hosts are enrolled.');
  else
    for (const { host, reachable } of results)
      io.out(
        reachable
          ? `${io.colours.green('✓')} ${host.name} answers at ${hostPlace(host)}`
          : `${io.colours.red('✗')} ${host.name} does not answer at ${hostPlace(host)}`,
      );
  return results.every(({ reachable }) => reachable) ? EXIT.succeeded : EXIT.someFailed;
}

const brief = ({ uuid, name, address, agent_port }: HostView) => ({ host_uuid: uuid, name, address, agent_port });

/** The agent makes a new key and fetches a certificate when it hears of it: with its next heartbeat. */
export async function renewHost(context: Context, name: string): Promise<ExitCode> {
  const host = await context.hosts.named(name);
  await context.hosts.change(host.uuid, { renew: true });
  if (context.json) printJson(context.io, { ...brief(host), renew_requested: true });
  else context.io.out(`${host.name} renews its certificate with its next heartbeat (within 30 s).`);
  return EXIT.succeeded;
}

// 2. Drain and remove

interface LeaveOptions {
  /** Its deckies go to other hosts. */
  readonly move?: boolean;
  readonly timeout?: number;
  readonly yes?: boolean;
}

interface DrainOptions extends LeaveOptions {
  readonly undo?: boolean;
}

interface RemoveOptions extends LeaveOptions {
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
    io.err(`${host.name} can’t be reached. It takes ${deckies(emptied.owes)} down as soon as it reconnects.`);
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

/** A host that is gone is given up after 90 s, and its rows end 30 s later at most: this sees their end. */
const DEFAULT_BOUND_MS = 150_000;

/** What became of a host's deckies. */
interface Emptied {
  /** No longer there: down, or up on another host. */
  readonly gone: readonly string[];
  /** Deckies that may still run there, or did not come up elsewhere, and why. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
  /** Deckies that the host takes down when it can be reached again. */
  readonly owes: number;
}

async function deckiesOn(context: Context, host: HostView): Promise<string[]> {
  const { deckies: all } = await context.master.fleet();
  return all.filter((decky) => decky.host_uuid === host.uuid).map((decky) => decky.name);
}

export const listed = (names: readonly string[]): string =>
  `${deckies(names.length)}${names.length > 0 ? ` (${names.map(harmless).join(', ')})` : ''}`;

export async function agree(context: Context, question: string, agreed: boolean): Promise<void> {
  if (agreed || (await context.io.confirm(question))) return;
  throw new CliError(EXIT.refused, 'Nothing was changed: you did not agree.', {
    advice: 'Without a terminal, use --yes.',
  });
}

// 3. Moving: the host takes each decky down, then it comes up on another host

const PENDING_POLL_MS = 2_000;

/** The host drains from the moment of acceptance; where that is refused, nothing has changed. */
async function moveAll(context: Context, host: HostView, names: readonly string[], boundMs: number): Promise<Emptied> {
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
  const owes = await untilNothingIsPending(context, host.uuid, deadline);
  return { gone, left, owes };
}

async function untilNothingIsPending({ hosts, io }: Context, uuid: string, deadline: number): Promise<number> {
  for (;;) {
    const { owes = 0 } = await hosts.named(uuid);
    if (owes === 0 || Date.now() + PENDING_POLL_MS > deadline) return owes;
    await pause(PENDING_POLL_MS, io.interrupted);
  }
}

// 4. Taking down, within a bound

async function takeDownOn(
  context: Context,
  host: HostView,
  names: readonly string[],
  boundMs: number,
): Promise<Emptied> {
  const { io, hosts } = context;
  const deadline = Date.now() + boundMs;
  const outcomes = await takeDownTogether(context, names, () => hosts.teardown(host.uuid), deadline);
  const ids = openIds(outcomes);
  const watched = ids.length === 0 ? null : await follow(context, { id: null, lifecycleIds: ids, deadline });
  if (watched?.end === 'interrupted') io.interrupted.throwIfAborted();
  return sortOut(outcomes, watched?.snapshot ?? null);
}

function sortOut(outcomes: readonly Outcome[], snapshot: Snapshot | null): Emptied {
  const rows = new Map((snapshot?.rows ?? []).map((row) => [row.id, row]));
  const judged = outcomes.map((outcome) => ({ name: outcome.name, reason: whyNotDown(outcome, rows) }));
  return {
    gone: judged.filter(({ reason }) => reason === null).map(({ name }) => name),
    left: judged.flatMap(({ name, reason }) => (reason === null ? [] : [{ name, reason }])),
    owes: 0,
  };
}

function whyNotDown(outcome: Outcome, rows: ReadonlyMap<string, RowView>): string | null {
  if (outcome.kind === 'down') return null;
  if (outcome.kind === 'refused') return outcome.sentence;
  const open = outcome.lifecycleIds.map((id) => rows.get(id));
  const failed = open.find((row) => row?.status === 'failed');
  if (failed) return failed.error ?? 'no reason was given';
  return open.every((row) => row && hasEnded(row.status)) ? null : 'its teardown goes on, but the wait ended first';
}
