/**
 * Retries work on an engine after errors that may pass. The work gets its progress deadline anew whenever something
 * moves; the attempt as a whole has a bound. Nobody but the agent needs it: an activity is retried by Temporal.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { retrying } from '../fleet/text.ts';
import { growingPause } from '../lib/concurrency.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** What is known from before a restart, and how progress is written down. */
export interface ProgressMemory {
  /** What is left of the progress deadline at the start, in milliseconds. */
  readonly leftMs: number;
  /** What is left of the attempt as a whole. */
  readonly boundMs: number;
  readonly hasSeen: (step: string) => boolean;
  /** Resolves once the step is on disk: only then does it count as progress, so that it counts once. */
  readonly note: (step: string) => Promise<void>;
}

export interface RetryPolicy {
  readonly progressDeadlineMs: number;
  /** Ends pauses and retries; a call of the engine that is under way may end. */
  readonly signal: AbortSignal;
  /** Aborts calls of the engine too. It is aborted no earlier than `signal`. */
  readonly abort: AbortSignal;
  /** Hears each step. */
  readonly onStep: (step: string) => void;
  /** Hears why a try failed, and until when it is retried. */
  readonly onRetry?: (message: string, until: Date) => void;
  /** Absent: a restart forgets the work. */
  readonly memory?: ProgressMemory;
}

/** A piece of work on the engine: it tells its steps and obeys the signal. */
export type Stepwise<T> = (note: (step: string) => void, signal: AbortSignal) => Promise<T>;

const FULL = /^(ENOSPC|EDQUOT)$/;

/** A full disk passes: somebody makes room, or a log is rotated away. */
const isDiskFull = (error: unknown): boolean => FULL.test(String((error as { code?: unknown } | null)?.code ?? ''));

const mayPass = (error: unknown): error is Error => isDiskFull(error) || (isDeckhandError(error) && error.retryable);

/**
 * Runs the work until it is done, or nothing new moved for the progress deadline. Throws the last error with what was
 * tried, ProgressDeadline, or the reason of `signal`.
 */
export async function withRetries<T>(work: Stepwise<T>, policy: RetryPolicy): Promise<T> {
  const { signal } = policy;
  signal.throwIfAborted();
  const watch = watchProgress(policy);
  try {
    for (let tries = 0; ; tries += 1) {
      try {
        return await work(watch.note, watch.signal);
      } catch (error) {
        signal.throwIfAborted();
        if (watch.signal.aborted) throw watch.late();
        if (!mayPass(error)) throw error;
        const pause = growingPause(tries, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Math.random());
        const leftMs = watch.leftMs();
        if (pause >= leftMs) throw gaveUp(error, policy);
        const until = new Date(Date.now() + leftMs);
        policy.onRetry?.(error.message, until);
        policy.onStep(retrying(error.message, until));
        await sleep(pause, undefined, { signal });
      }
    }
  } finally {
    watch.end();
  }
}

const gaveUp = (error: Error, { progressDeadlineMs }: RetryPolicy): DeckhandError =>
  new DeckhandError(
    isDeckhandError(error) ? error.code : 'Internal',
    `${error.message} (tried until progress_deadline, ${progressDeadlineMs / 1_000} s)`,
    { cause: error },
  );

/** A step counts as progress when it was not there before: a second try that gets no further moves nothing. */
function watchProgress({ progressDeadlineMs, abort, onStep, memory }: RetryPolicy) {
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
  abort.addEventListener('abort', stop, { once: true });
  move(memory?.leftMs ?? progressDeadlineMs);
  return {
    signal: controller.signal,
    note: (text: string): void => {
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
      abort.removeEventListener('abort', stop);
    },
  };
}
