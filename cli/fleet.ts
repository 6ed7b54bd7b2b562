/** `deckhand deckies`, `status`, `cancel`, `mutate` and `mutate-interval`. */

import { randomUUID } from 'node:crypto';
import { type Context, printJson } from './context.ts';
import { EXIT, type ExitCode } from './errors.ts';
import { followAndTell, nextCommands, submit } from './follow.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';
import { renderDeployment, renderDeployments, renderFleet } from './render.ts';
import { deckies } from './text.ts';

export async function showFleet(context: Context): Promise<ExitCode> {
  const fleet = await context.master.fleet();
  if (context.json) printJson(context.io, fleet);
  else context.io.out(renderFleet(fleet, context.io.colours));
  return EXIT.succeeded;
}

interface StatusOptions {
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly limit?: number;
}

const RECENT = 20;

/** Without an id: recent deployments. With one: its rows and what it waits for; with --wait until it has ended. */
export async function status(context: Context, id: string | undefined, options: StatusOptions): Promise<ExitCode> {
  if (id === undefined) return recent(context, options.limit ?? RECENT);
  if (options.wait) return untilEnded(context, id, options.timeout ?? DEFAULT_TIMEOUT_MS);
  const detail = await context.master.deployment(id);
  if (context.json) printJson(context.io, detail);
  else context.io.out(renderDeployment(detail, context.io.colours, Date.now()));
  return EXIT.succeeded;
}

async function recent(context: Context, limit: number): Promise<ExitCode> {
  const deployments = await context.master.deployments(limit);
  if (context.json) printJson(context.io, { deployments });
  else if (deployments.length > 0) context.io.out(renderDeployments(deployments, context.io.colours, Date.now()));
  else context.io.out('No deployment yet. Make one: deckhand deploy FILE --wait');
  if (!context.json) await tellDrift(context);
  return EXIT.succeeded;
}

/** One line where not all is as it should be; a master that is older, or busy, says nothing of it. */
async function tellDrift({ io, master }: Context): Promise<void> {
  const seen = await master.drift({}).catch(() => null);
  if (!seen) return;
  const drifting = new Set(seen.drift.map((one) => one.decky_name)).size;
  const unknown = seen.unknown.reduce((sum, one) => sum + one.deckies, 0);
  if (drifting > 0) io.out(io.colours.red(`${deckies(drifting)} not as it should be: deckhand drift`));
  if (unknown > 0) io.out(`${deckies(unknown)} unknown, since no answer comes: deckhand drift`);
}

async function untilEnded(context: Context, id: string, timeoutMs: number): Promise<ExitCode> {
  const startedAt = Date.now();
  // An id that does not exist is refused at once, not waited for.
  await context.master.deployment(id);
  const told = { what: 'The deployment', startedAt, extra: { deployment_id: id } };
  return (await followAndTell(context, { id, deadline: startedAt + timeoutMs }, told)).code;
}

interface CancelOptions {
  readonly wait?: boolean;
  readonly timeout?: number;
}

/** Cancels what is open of a deployment. Without --wait, 0 means that it was asked for; with it, that every row has ended. */
export async function cancel(context: Context, id: string, options: CancelOptions): Promise<ExitCode> {
  const { io, json, master } = context;
  const startedAt = Date.now();
  const answer = await master.cancel(id);
  const next = { ...nextCommands(id), cancel: null };
  if (!options.wait) {
    if (json) printJson(io, answer);
    else io.out(`Cancelled: ${deckies(answer.lifecycle_ids.length)} to end. Follow it: ${next.followAgain}`);
    return EXIT.succeeded;
  }
  const deadline = startedAt + (options.timeout ?? DEFAULT_TIMEOUT_MS);
  const told = { what: 'The cancelled deployment', startedAt, next, extra: answer };
  const { end, code } = await followAndTell(context, { id, deadline }, told);
  // Rows that failed because of it are what was asked for.
  return end === 'ended' ? EXIT.succeeded : code;
}

interface MutateOptions {
  readonly services?: readonly string[];
  readonly wait?: boolean;
  readonly timeout?: number;
}

/** How long it is sent again while a master that answered before does not. */
const SUBMIT_MS = 30_000;

/** Gives a decky other services. Without --wait, 0 means that it was accepted. */
export async function mutate(context: Context, name: string, options: MutateOptions): Promise<ExitCode> {
  const { io, json, master } = context;
  const startedAt = Date.now();
  const deadline = startedAt + (options.timeout ?? DEFAULT_TIMEOUT_MS);
  const key = randomUUID();
  const accepted = await submit(master, () => master.mutate(name, options.services ?? null, key), {
    deadline: options.wait ? deadline : startedAt + SUBMIT_MS,
    silentDeadline: startedAt,
    interrupted: io.interrupted,
    onRetry: io.err,
  });
  for (const warning of accepted.warnings ?? []) io.err(`warning: ${warning}`);
  const { deployment_id: id } = accepted;
  if (!options.wait) {
    if (json) printJson(io, accepted);
    else io.out(`Accepted. Follow it: deckhand status ${id} --wait`);
    return EXIT.succeeded;
  }
  const told = { what: 'The mutation', startedAt, extra: accepted };
  return (await followAndTell(context, { id, deadline }, told)).code;
}

/** `off`, or what the API takes (`30m`, `5d`, `2M`, `1y`). */
export async function mutateInterval(context: Context, name: string, interval: string): Promise<ExitCode> {
  const isOff = interval === 'off';
  await context.master.setMutateInterval(name, isOff ? null : interval);
  if (context.json) printJson(context.io, { name, mutate_interval: isOff ? null : interval });
  else context.io.out(isOff ? `${name} does not rotate any more` : `${name} rotates every ${interval}`);
  return EXIT.succeeded;
}
