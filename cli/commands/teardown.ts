import { ApiRefusal, ApiUnreachable } from '../api-client.ts';
import { type Context, printJson } from '../context.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import { pause } from '../pause.ts';
import { reportEnd } from '../report.ts';
import { viewFor } from '../views.ts';
import { watchRows } from '../watch.ts';
import { followReader } from './follow.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';

export interface TeardownOptions {
  readonly all?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
}

/** Deckies asked for at the same time; each question may take 15 s. */
const PARALLEL = 16;
const RETRY_MS = 1000;

/** What became of one request: it is gone, rows tell when, or the master said no. */
type Outcome =
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
      if (error instanceof ApiRefusal) return await refused(context, name, error, askedBefore);
      if (!(error instanceof ApiUnreachable) || Date.now() + RETRY_MS > deadline) throw error;
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
  const ids = outcomes.flatMap((outcome) => (outcome.kind === 'open' ? outcome.lifecycleIds : []));
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
