/**
 * One activity at a time changes a decky. A workflow does not wait for an activity that it has cancelled, or whose time is
 * up: the old attempt may still be creating containers when the clean-up runs. The clean-up would find nothing, and the
 * containers would leak. So each activity that changes a decky aborts earlier ones on the same decky, and waits for their end.
 *
 * The attempt that Temporal scheduled last counts. It need not be the one that arrives last: a worker that was frozen begins
 * attempts that have timed out meanwhile, beside those that replace them.
 *
 * This holds within a process. A worker that was killed takes its activities with it. Of two workers that live at once (one
 * shuts down while the next has begun) neither knows what the other one does: there only the heartbeat ends the old one.
 */
import { Context } from '@temporalio/activity';
import { DeckhandError } from '../fleet/errors.ts';
import { alive } from './alive.ts';

/** The subject of an activity that changes any decky, those included of which there is no container yet. */
export const EVERY_DECKY = Symbol('every decky');

type Subject = string | typeof EVERY_DECKY;
type Work<T> = (signal: AbortSignal) => Promise<T>;

interface Holder {
  readonly subject: Subject;
  /** When Temporal scheduled this attempt, in epoch milliseconds. */
  readonly scheduledAt: number;
  readonly controller: AbortController;
  /** Resolves when it changes nothing any more, however it ended. */
  readonly ended: Promise<void>;
}

const meet = (one: Subject, other: Subject): boolean => one === other || one === EVERY_DECKY || other === EVERY_DECKY;

export class Exclusive {
  readonly #open = new Set<Holder>();

  /** As {@link take} where nobody works on the subject, else null. An attempt that comes later aborts this one. */
  takeIfFree<T>(subject: Subject, work: Work<T>): Promise<T> | null {
    const isTaken = [...this.#open].some((holder) => meet(holder.subject, subject));
    return isTaken ? null : this.take(subject, work);
  }

  /**
   * Aborts those who work on the subject, waits for their end, then works. Rejects at once where a later attempt is there
   * already. Among attempts of the same millisecond the order of the calls counts, so call it before anything is awaited.
   * Each waits for earlier ones only, so that no two can wait for each other.
   */
  take<T>(subject: Subject, work: Work<T>): Promise<T> {
    const scheduledAt = Context.current().info.currentAttemptScheduledTimestampMs;
    const earlier = [...this.#open].filter((holder) => meet(holder.subject, subject));
    const overtaken = new DeckhandError('Cancelled', 'a later step on the same decky has taken its place');
    if (earlier.some((holder) => holder.scheduledAt > scheduledAt)) return Promise.reject(overtaken);
    for (const { controller } of earlier) controller.abort(overtaken);
    const controller = new AbortController();
    const signal = AbortSignal.any([Context.current().cancellationSignal, controller.signal]);
    const result = afterThem(earlier, signal, work);
    const holder: Holder = {
      subject,
      scheduledAt,
      controller,
      ended: settled(result).then(() => void this.#open.delete(holder)),
    };
    this.#open.add(holder);
    return result;
  }
}

/** One that gives up while it waits leaves those before it open, so that the next one waits for them too. */
async function afterThem<T>(earlier: readonly Holder[], signal: AbortSignal, work: Work<T>): Promise<T> {
  signal.throwIfAborted();
  if (earlier.length > 0) await alive((step) => endOf(earlier, signal, step), signal);
  signal.throwIfAborted();
  return work(signal);
}

function endOf(earlier: readonly Holder[], signal: AbortSignal, step: (text: string) => void): Promise<unknown> {
  step('waiting for the end of what was begun before');
  const givenUp = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  return Promise.race([Promise.all(earlier.map(({ ended }) => ended)), givenUp]);
}

const settled = (promise: Promise<unknown>): Promise<void> =>
  promise.then(
    () => undefined,
    () => undefined,
  );
