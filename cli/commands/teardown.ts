import { type Context, printJson } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import { openIds, takeDownAll, takeDownTogether } from '../take-down.ts';
import { followAndTell } from './follow.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';

export interface TeardownOptions {
  readonly all?: boolean;
  /** All of this host. */
  readonly host?: string;
  readonly wait?: boolean;
  readonly timeout?: number;
}

/** What is to go, and the one request for all of it where there is one. */
interface Wish {
  readonly names: readonly string[];
  readonly ask?: () => Promise<readonly string[] | null>;
}

async function wishOf(
  { master, hosts }: Context,
  names: readonly string[],
  { all, host }: TeardownOptions,
): Promise<Wish> {
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
  const { names, ask } = await wishOf(context, given, options);
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
