/** Sends a request until the master answers: its key makes it one operation, however often it is sent. */
import { ApiUnreachable } from '../api-client.ts';
import type { Master } from '../master.ts';
import { pause } from '../pause.ts';

/** Between two tries, where the master does not say (Retry-After). */
const RETRY_MS = 1000;

export interface SubmitOptions {
  /** Epoch milliseconds; the first try is made in any case. */
  readonly deadline: number;
  /** The deadline for a master that never answered: probably there is none. */
  readonly silentDeadline: number;
  readonly interrupted: AbortSignal;
  readonly onRetry: (sentence: string) => void;
}

/** Throws what the last try threw. `send` asks under the same key each time, so that a lost answer comes again. */
export async function submit<T>(master: Master, send: () => Promise<T>, options: SubmitOptions): Promise<T> {
  for (;;) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof ApiUnreachable)) throw error;
      const deadline = master.heard ? options.deadline : Math.min(options.deadline, options.silentDeadline);
      const wait = error.retryAfterMs ?? RETRY_MS;
      if (options.interrupted.aborted || Date.now() + wait > deadline) throw error;
      options.onRetry(`${error.message} Trying again in ${wait / 1000} s.`);
      await pause(wait, options.interrupted);
    }
  }
}
