/** `deckhand drift`, `reconcile`, `stop`, `start` and `reconcile-interval`. */

import { type Context, printJson } from './context.ts';
import { EXIT, type ExitCode } from './errors.ts';
import { followAndTell, nextCommands } from './follow.ts';
import type { ReconcileAnswer } from './master.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';
import { renderDrift, renderMending } from './render.ts';

interface Waiting {
  readonly wait?: boolean;
  readonly timeout?: number;
}

interface DriftOptions {
  readonly decky?: string;
  readonly host?: string;
}

/** How what runs differs from what should. */
export async function drift(context: Context, options: DriftOptions): Promise<ExitCode> {
  const found = await context.master.drift(options);
  if (context.json) printJson(context.io, found);
  else context.io.out(renderDrift(found, context.io.colours, Date.now()));
  return EXIT.succeeded;
}

interface ReconcileOptions extends Waiting {
  readonly dryRun?: boolean;
  readonly host?: string;
}

/** Brings what drifts back to what it should be. Without --wait, 0 means that it was accepted. */
export async function reconcile(
  context: Context,
  names: readonly string[],
  options: ReconcileOptions,
): Promise<ExitCode> {
  const { io, json, master } = context;
  const startedAt = Date.now();
  const answer = await master.reconcile({
    ...(options.dryRun ? { dry_run: true } : {}),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(names.length > 0 ? { deckies: [...names] } : {}),
  });
  if (!json) io.out(renderMending(answer, io.colours));
  return untilEnded(context, answer, { ...options, what: 'The reconcile', startedAt });
}

/** Stops or starts a decky. Without --wait, 0 means that it was accepted. */
export async function power(
  context: Context,
  kind: 'stop' | 'start',
  name: string,
  options: Waiting,
): Promise<ExitCode> {
  const startedAt = Date.now();
  const answer = await context.master.power(name, kind);
  return untilEnded(context, answer, { ...options, what: `The ${kind}`, startedAt });
}

/** An interval as the API takes it (`5m`, `1d`), or `off`. */
export async function reconcileInterval(context: Context, interval: string): Promise<ExitCode> {
  const value = interval === 'off' ? null : interval;
  await context.master.setReconcileInterval(value);
  if (context.json) printJson(context.io, { reconcile_interval: value });
  else context.io.out(value === null ? 'Drift is repaired by hand only' : `Drift is repaired every ${value}`);
  return EXIT.succeeded;
}

async function untilEnded(
  context: Context,
  answer: Pick<ReconcileAnswer, 'deployment_id'>,
  { wait, timeout = DEFAULT_TIMEOUT_MS, what, startedAt }: Waiting & { what: string; startedAt: number },
): Promise<ExitCode> {
  const id = answer.deployment_id;
  if (!wait || !id) {
    if (context.json) printJson(context.io, answer);
    else if (id) context.io.out(`Accepted. Follow it: ${nextCommands(id).followAgain}`);
    return EXIT.succeeded;
  }
  const followed = { id, deadline: startedAt + timeout };
  return (await followAndTell(context, followed, { what, startedAt, extra: answer })).code;
}
