/** Trying again what may pass, for as long as something moves. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** The nth pause (from 0), doubling up to `longest`; `chance` is from 0 to 1 and takes off up to half of it. */
export const growingPause = (n: number, first: number, longest: number, chance: number): number =>
  Math.min(longest, first * 2 ** Math.min(n, 20)) * (1 - chance / 2);

export interface Patience {
  readonly progressDeadlineMs: number;
  /** Ends waits and tries; a call of the engine that is under way may end. */
  readonly signal: AbortSignal;
  /** Breaks calls off too. Aborted no earlier than `signal`. */
  readonly cut: AbortSignal;
  /** Hears each step. */
  readonly onStep: (step: string) => void;
}

export type Stepwise<T> = (step: (text: string) => void, signal: AbortSignal) => Promise<T>;

/**
 * Runs work on the engine, again after errors that may pass, until it is done or nothing new moved for the progress
 * deadline. Throws the last error with what was tried, ProgressDeadline, or the reason of `signal`.
 */
export async function patiently<T>(work: Stepwise<T>, options: Patience): Promise<T> {
  const { progressDeadlineMs, signal } = options;
  signal.throwIfAborted();
  const watch = watchProgress(options);
  try {
    for (let tries = 0; ; tries += 1) {
      try {
        return await work(watch.step, watch.signal);
      } catch (error) {
        signal.throwIfAborted();
        if (watch.signal.aborted) throw watch.late();
        if (!isDeckhandError(error) || !error.retryable) throw error;
        const pause = growingPause(tries, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Math.random());
        if (pause >= watch.leftMs())
          throw new DeckhandError(
            error.code,
            `${error.message} (tried until progress_deadline, ${progressDeadlineMs / 1_000} s)`,
            {
              cause: error,
            },
          );
        options.onStep(`trying again: ${error.message}`);
        await sleep(pause, undefined, { signal });
      }
    }
  } finally {
    watch.end();
  }
}

/** A step counts as progress when it was not there before: a second try that gets no further moves nothing. */
function watchProgress({ progressDeadlineMs, cut, onStep }: Patience) {
  const seen = new Set<string>();
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  let latest = '';
  let until = 0;
  let timer: NodeJS.Timeout | undefined;
  const move = (): void => {
    clearTimeout(timer);
    until = Date.now() + progressDeadlineMs;
    timer = setTimeout(() => controller.abort(), progressDeadlineMs);
  };
  const stop = (): void => controller.abort();
  cut.addEventListener('abort', stop, { once: true });
  move();
  return {
    signal: controller.signal,
    step: (text: string): void => {
      latest = text;
      onStep(text);
      if (seen.has(text)) return;
      seen.add(text);
      move();
    },
    leftMs: () => until - Date.now(),
    late: () =>
      new DeckhandError(
        'ProgressDeadline',
        `nothing moved within ${progressDeadlineMs / 1_000} s${latest === '' ? '' : `; it was ${latest}`}`,
      ),
    end: (): void => {
      clearTimeout(timer);
      cut.removeEventListener('abort', stop);
    },
  };
}
