import { type Context, printJson } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import { reportEnd } from '../report.ts';
import { openIds, takeDownAll } from '../take-down.ts';
import { viewFor } from '../views.ts';
import { watchRows } from '../watch.ts';
import { followReader } from './follow.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';

export interface TeardownOptions {
  readonly all?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
}

async function namesOf(context: Context, names: readonly string[], all: boolean): Promise<readonly string[]> {
  if (all !== (names.length === 0))
    throw new CliError(EXIT.couldNotAsk, all ? 'Name deckies, or --all, not both.' : 'No decky is named.', {
      advice: 'deckhand teardown NAME..., or deckhand teardown --all',
    });
  return all ? (await context.master.fleet()).deckies.map((decky) => decky.name) : [...new Set(names)];
}

/** Takes deckies down, base containers included. Without --wait, 0 means that each is down or on its way. */
export async function teardown(
  context: Context,
  given: readonly string[],
  options: TeardownOptions,
): Promise<ExitCode> {
  const { io, json, master } = context;
  const startedAt = Date.now();
  const deadline = startedAt + (options.timeout ?? DEFAULT_TIMEOUT_MS);
  const names = await namesOf(context, given, options.all === true);
  const outcomes = await takeDownAll(context, names, options.wait ? deadline : startedAt);
  const ids = openIds(outcomes);
  const anyRefused = outcomes.some((outcome) => outcome.kind === 'refused');
  if (!options.wait || ids.length === 0) {
    if (json) printJson(io, { outcomes });
    else if (names.length === 0) io.out('There are no deckies.');
    else if (ids.length > 0) io.out(`${ids.length} still on the way down; see \`deckhand deckies\`.`);
    return anyRefused ? EXIT.refused : EXIT.succeeded;
  }
  const result = await watchRows(followReader(master, null, ids), viewFor(io, json), {
    timeoutMs: Math.max(0, deadline - Date.now()),
    interrupted: io.interrupted,
  });
  const code = reportEnd(io, {
    result,
    unchanged: 0,
    what: 'The teardown',
    lookAgain: 'deckhand deckies',
    startedAt,
    json,
    extra: { outcomes },
  });
  return code === EXIT.succeeded && anyRefused ? EXIT.refused : code;
}
