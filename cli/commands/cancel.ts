import { type Context, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { nextCommands } from '../report.ts';
import { deckies } from '../text.ts';
import { followAndTell } from './follow.ts';
import { DEFAULT_TIMEOUT_MS } from './options.ts';

export interface CancelOptions {
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
    else io.out(`Cancelled: ${deckies(answer.lifecycle_ids.length)} to end. Follow it: ${next.lookAgain}`);
    return EXIT.succeeded;
  }
  const deadline = startedAt + (options.timeout ?? DEFAULT_TIMEOUT_MS);
  const told = { what: 'The cancelled deployment', startedAt, next, extra: answer };
  const { end, code } = await followAndTell(context, { id, deadline }, told);
  // Rows that failed because of it are what was asked for.
  return end === 'ended' ? EXIT.succeeded : code;
}
