import { type Context, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { renderDeployment, renderDeployments } from '../render-tables.ts';
import { deckies } from '../text.ts';
import { followAndTell } from './follow.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';

export interface StatusOptions {
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
