/** `deckhand teardown`: takes deckies down, by name, by host, or all of them. */

import { type ApiRefusal, isRefusal, isUnreachable } from './api-client.ts';
import { type Context, printJson } from './context.ts';
import { CliError, EXIT, type ExitCode } from './errors.ts';
import { followAndTell } from './follow.ts';
import { pause } from './io.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';

interface TeardownOptions {
  readonly all?: boolean;
  /** All of this host. */
  readonly host?: string;
  readonly wait?: boolean;
  readonly timeout?: number;
}

/** What is to be taken down, and the one request for all of it where there is one. */
interface Target {
  readonly names: readonly string[];
  readonly ask?: () => Promise<readonly string[] | null>;
}

async function targetOf(
  { master, hosts }: Context,
  names: readonly string[],
  { all, host }: TeardownOptions,
): Promise<Target> {
  const ways = [names.length > 0, all === true, host !== undefined].filter(Boolean).length;
  if (ways !== 1)
    throw new CliError(
      EXIT.couldNotAsk,
      ways > 1 ? 'Name deckies, or --host, or --all, not several.' : 'No decky is named.',
      {
        advice: 'deckhand teardown NAME..., deckhand teardown --host HOST, or deckhand teardown --all',
      },
    );
  if (names.length > 0) return { names: [...new Set(names)] };
  const where = host === undefined ? null : await hosts.named(host);
  const { deckies } = await master.fleet();
  if (where === null) return { names: deckies.map((decky) => decky.name), ask: () => master.teardownAll() };
  const there = deckies.filter((decky) => decky.host_uuid === where.uuid).map((decky) => decky.name);
  return { names: there, ask: () => hosts.teardown(where.uuid) };
}

/** Takes deckies down, base containers included. Without --wait, 0 means that each is down or on its way. */
export async function teardown(
  context: Context,
  given: readonly string[],
  options: TeardownOptions,
): Promise<ExitCode> {
  const { io, json } = context;
  const startedAt = Date.now();
  const deadline = startedAt + (options.timeout ?? DEFAULT_TIMEOUT_MS);
  const { names, ask } = await targetOf(context, given, options);
  const until = options.wait ? deadline : startedAt;
  const outcomes = await (ask ? takeDownTogether(context, names, ask, until) : takeDownAll(context, names, until));
  const ids = openIds(outcomes);
  const anyRefused = outcomes.some((outcome) => outcome.kind === 'refused');
  if (!options.wait || ids.length === 0) {
    if (json) printJson(io, { outcomes });
    else if (names.length === 0) io.out('There are no deckies.');
    else if (ids.length > 0) io.out(`${ids.length} still on the way down; see \`deckhand deckies\`.`);
    return anyRefused ? EXIT.refused : EXIT.succeeded;
  }
  const told = { what: 'The teardown', startedAt, extra: { outcomes } };
  const { code } = await followAndTell(context, { id: null, lifecycleIds: ids, deadline }, told);
  return code === EXIT.succeeded && anyRefused ? EXIT.refused : code;
}

// Taking deckies down, many at a time, even when answers are lost. `deckhand host` uses it as well.

/** Deckies asked for at the same time; each question may take 15 s. */
const PARALLEL = 16;
const RETRY_MS = 1000;

/** What became of one request: it is gone, rows tell when, or the master said no. */
export type Outcome =
  | { readonly name: string; readonly kind: 'down' }
  | { readonly name: string; readonly kind: 'open'; readonly lifecycleIds: readonly string[] }
  | { readonly name: string; readonly kind: 'refused'; readonly sentence: string; readonly code: string | null };

/** The open teardown of a decky, by its row; null when there is none. */
async function openTeardown(context: Context, name: string): Promise<string | null> {
  const decky = (await context.master.fleet()).deckies.find((one) => one.name === name);
  return decky?.open?.operation === 'teardown' ? decky.open.lifecycle_id : null;
}

/** Asks until there is an answer. After a lost one, "not found" means that the first question was heard. */
async function takeDown(context: Context, name: string, deadline: number): Promise<Outcome> {
  for (let askedBefore = false; ; askedBefore = true) {
    try {
      const { down, lifecycleIds } = await context.master.teardown(name);
      return down ? { name, kind: 'down' } : { name, kind: 'open', lifecycleIds };
    } catch (error) {
      if (isRefusal(error)) return await refused(context, name, error, askedBefore);
      if (!isUnreachable(error) || Date.now() + RETRY_MS > deadline) throw error;
      await pause(error.retryAfterMs ?? RETRY_MS, context.io.interrupted);
    }
  }
}

async function refused(context: Context, name: string, error: ApiRefusal, askedBefore: boolean): Promise<Outcome> {
  if (error.status === 404 && askedBefore) return { name, kind: 'down' };
  const open = error.status === 409 ? await openTeardown(context, name) : null;
  if (open !== null) return { name, kind: 'open', lifecycleIds: [open] };
  return { name, kind: 'refused', sentence: error.message, code: error.code };
}

/**
 * All of them by one request, `ask`, which may be repeated: what is on its way down is named again. Where one of them is busy
 * with something else, or the master is an older one (null), they are asked for one by one, so that the others go.
 */
export async function takeDownTogether(
  context: Context,
  names: readonly string[],
  ask: () => Promise<readonly string[] | null>,
  deadline: number,
): Promise<Outcome[]> {
  if (names.length === 0) return [];
  for (;;) {
    try {
      const ids = await ask();
      if (ids === null) return takeDownAll(context, names, deadline);
      const rows = await context.master.lifecycle(ids);
      return names.map((name) => {
        const own = rows.filter((row) => row.decky_name === name).map((row) => row.id);
        return own.length > 0 ? { name, kind: 'open', lifecycleIds: own } : { name, kind: 'down' };
      });
    } catch (error) {
      if (isRefusal(error) && [404, 409].includes(error.status)) return takeDownAll(context, names, deadline);
      if (!isUnreachable(error) || Date.now() + RETRY_MS > deadline) throw error;
      await pause(error.retryAfterMs ?? RETRY_MS, context.io.interrupted);
    }
  }
}

/** `deadline` (epoch milliseconds) bounds how long a master that does not answer is asked again. */
async function takeDownAll(context: Context, names: readonly string[], deadline: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = [...names];
  const lane = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const outcome = await takeDown(context, name, deadline);
      outcomes.push(outcome);
      if (!context.json && outcome.kind === 'down') context.io.out(`${name} is down`);
      if (!context.json && outcome.kind === 'refused') context.io.err(`${name}: ${outcome.sentence}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, queue.length) }, lane));
  return outcomes;
}

export const openIds = (outcomes: readonly Outcome[]): string[] =>
  outcomes.flatMap((outcome) => (outcome.kind === 'open' ? outcome.lifecycleIds : []));
