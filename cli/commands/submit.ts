/** Sends a deploy until the master answers: the key makes it one deploy, however often it is sent. */
import { ApiUnreachable } from '../api-client.ts';
import type { Accepted, DeployBody, Master } from '../master.ts';
import { pause } from '../pause.ts';

/** Between two tries, where the master does not say (Retry-After). */
const RETRY_MS = 1000;

export interface SubmitOptions {
  readonly key: string;
  /** Epoch milliseconds; the first try is made in any case. */
  readonly deadline: number;
  /** The deadline for a master that never answered: probably there is none. */
  readonly silentDeadline: number;
  readonly interrupted: AbortSignal;
  readonly onRetry: (sentence: string) => void;
}

/** Throws what the last try threw. An answer that was lost is asked for again under the same key. */
export async function submit(master: Master, body: DeployBody, options: SubmitOptions): Promise<Accepted> {
  for (;;) {
    try {
      return await master.deploy(body, options.key);
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
