import { randomUUID } from 'node:crypto';
import { type Context, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { followAndTell } from './follow.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';
import { submit } from './submit.ts';

export interface MutateOptions {
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
