/** Retrying what may pass, for as long as something moves and the attempt as a whole has time left. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { retrying } from '../fleet/host-observation.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** The nth pause (from 0), doubling up to `longest`; `chance` is from 0 to 1 and takes off up to half of it. */
export const growingPause = (n: number, first: number, longest: number, chance: number): number =>
  Math.min(longest, first * 2 ** Math.min(n, 20)) * (1 - chance / 2);

/** What is known from before a restart, and how what moves is written down. */
export interface Memory {
  /** What is left of the progress deadline at the start, in milliseconds. */
  readonly leftMs: number;
  /** What is left of the attempt as a whole. */
  readonly boundMs: number;
  readonly hasSeen: (step: string) => boolean;
  /** Resolves once the step is on disk: only then does it count as progress, so that it counts once. */
  readonly note: (step: string) => Promise<void>;
}

export interface Patience {
  readonly progressDeadlineMs: number;
  /** Ends waits and tries; a call of the engine that is under way may end. */
  readonly signal: AbortSignal;
  /** Breaks calls off too. Aborted no earlier than `signal`. */
  readonly cut: AbortSignal;
  /** Hears each step. */
  readonly onStep: (step: string) => void;
  /** Hears why a try failed, and until when it is retried. */
  readonly onRetry?: (message: string, until: Date) => void;
  /** Absent: the work is forgotten by a restart. */
  readonly memory?: Memory;
}

export type Stepwise<T> = (step: (text: string) => void, signal: AbortSignal) => Promise<T>;

const FULL = /^(ENOSPC|EDQUOT)$/;

/** A full disk passes: somebody makes room, or a log is rotated away. */
export const isDiskFull = (error: unknown): boolean =>
  FULL.test(String((error as { code?: unknown } | null)?.code ?? ''));

const mayPass = (error: unknown): error is Error => isDiskFull(error) || (isDeckhandError(error) && error.retryable);

/**
 * Runs work on the engine, again after errors that may pass, until it is done or nothing new moved for the progress
 * deadline. Throws the last error with what was tried, ProgressDeadline, or the reason of `signal`.
 */
export async function patiently<T>(work: Stepwise<T>, options: Patience): Promise<T> {
  const { signal } = options;
  signal.throwIfAborted();
  const watch = watchProgress(options);
  try {
    for (let tries = 0; ; tries += 1) {
      try {
        return await work(watch.step, watch.signal);
      } catch (error) {
        signal.throwIfAborted();
        if (watch.signal.aborted) throw watch.late();
        if (!mayPass(error)) throw error;
        const pause = growingPause(tries, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Math.random());
        const leftMs = watch.leftMs();
        if (pause >= leftMs) throw gaveUp(error, options);
        const until = new Date(Date.now() + leftMs);
        options.onRetry?.(error.message, until);
        options.onStep(retrying(error.message, until));
        await sleep(pause, undefined, { signal });
      }
    }
  } finally {
    watch.end();
  }
}

const gaveUp = (error: Error, { progressDeadlineMs }: Patience): DeckhandError =>
  new DeckhandError(
    isDeckhandError(error) ? error.code : 'Internal',
    `${error.message} (tried until progress_deadline, ${progressDeadlineMs / 1_000} s)`,
    { cause: error },
  );

/** A step counts as progress when it was not there before: a second try that gets no further moves nothing. */
function watchProgress({ progressDeadlineMs, cut, onStep, memory }: Patience) {
  const seen = new Set<string>();
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const boundAt = performance.now() + (memory?.boundMs ?? Number.POSITIVE_INFINITY);
  let latest = '';
  let until = 0;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => controller.abort();
  const move = (leftMs: number): void => {
    if (ended) return;
    clearTimeout(timer);
    until = Math.min(performance.now() + leftMs, boundAt);
    timer = setTimeout(stop, Math.max(0, until - performance.now()));
  };
  cut.addEventListener('abort', stop, { once: true });
  move(memory?.leftMs ?? progressDeadlineMs);
  return {
    signal: controller.signal,
    step: (text: string): void => {
      latest = text;
      onStep(text);
      if (seen.has(text) || memory?.hasSeen(text)) return;
      seen.add(text);
      if (memory) memory.note(text).then(() => move(progressDeadlineMs), stop);
      else move(progressDeadlineMs);
    },
    leftMs: () => until - performance.now(),
    late: () => {
      const what = latest === '' ? '' : `; it was ${latest}`;
      const why =
        until >= boundAt
          ? 'the attempt took too long, though something moved'
          : `nothing moved within ${progressDeadlineMs / 1_000} s`;
      return new DeckhandError('ProgressDeadline', `${why}${what}`);
    },
    end: (): void => {
      ended = true;
      clearTimeout(timer);
      cut.removeEventListener('abort', stop);
    },
  };
}
