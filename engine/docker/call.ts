/** One call of the Docker Engine: bounded in number and time, cancellable, its errors translated. */
import { DeckhandError } from '../../fleet/errors.ts';
import { onAbort, raceAbort, type Semaphore } from '../../lib/concurrency.ts';
import { opaque } from '../../lib/opaque.ts';
import { toDeckhandError } from './errors.ts';

/** Reading takes milliseconds; a hung engine is found out after this long. */
export const READ_TIMEOUT_MS = 30_000;
/** Creating, starting and removing queue up inside a busy engine. */
export const CHANGE_TIMEOUT_MS = 120_000;

export interface CallOptions {
  /** What is tried, as a noun phrase with its object ("start of container web1"). */
  readonly doing: string;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** Taken for the length of the call. */
  readonly semaphore?: Semaphore;
  /** How long an abort leaves a call that was sent to its end. Absent: it is cut off at once. */
  readonly graceMs?: number;
}

/**
 * Throws the signal's reason when it was aborted, else a DeckhandError: EngineUnreachable after `timeoutMs`, or what
 * {@link toDeckhandError} makes of the failure.
 */
export async function callEngine<T>(options: CallOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal, timeoutMs, doing } = options;
  signal?.throwIfAborted();
  const release = options.semaphore ? await options.semaphore.acquire(signal) : undefined;
  const controller = new AbortController();
  let grace: NodeJS.Timeout | undefined;
  const stopListening = onAbort(signal, () => {
    if (options.graceMs === undefined) controller.abort();
    else grace = setTimeout(() => controller.abort(), options.graceMs);
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, timeoutMs);
  try {
    // Raced, so that a call which never ends, whatever the reason, ends with its time.
    return await raceAbort(work(opaque(controller.signal, 'signal')), controller.signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (late)
      throw new DeckhandError(
        'EngineUnreachable',
        `${doing}: the Docker Engine gave no answer within ${timeoutMs / 1000} s`,
      );
    throw toDeckhandError(error, doing);
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    stopListening();
    release?.();
  }
}

/** Waits for all, also when one fails, so that nothing is left running behind the caller; then throws the first failure. */
export async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
