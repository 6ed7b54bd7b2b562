/**
 * One activity at a time changes a decky, and the one that Temporal scheduled last is the one that counts. That need not be the one
 * that arrives last: a worker that was frozen begins attempts that have timed out meanwhile beside those that replace them. A workflow does not wait until an activity that
 * it cancelled, or whose time was up, has ended: the next one comes while the old one works on, which hears of it by a
 * heartbeat seconds later. A clean-up would look, find nothing, and say so; what the old one creates after that would stay.
 *
 * It holds within a process. A worker that was killed takes its activities with it, but of two that live at once (one is being
 * shut down while the next has begun) neither knows what the other one does: there the heartbeat alone ends the old one.
 */
import { Context } from '@temporalio/activity';
import { DeckhandError } from '../fleet/errors.ts';
import { alive } from './alive.ts';

/** Of whoever changes any decky, those included of which there is no container yet. */
export const EVERY_DECKY = Symbol('every decky');

type Subject = string | typeof EVERY_DECKY;
type Work<T> = (signal: AbortSignal) => Promise<T>;

interface Turn {
  readonly subject: Subject;
  /** When Temporal scheduled this attempt, in epoch milliseconds. */
  readonly scheduledAt: number;
  readonly controller: AbortController;
  /** Resolves when it changes nothing any more, however it ended. */
  readonly ended: Promise<void>;
}

const meet = (one: Subject, other: Subject): boolean => one === other || one === EVERY_DECKY || other === EVERY_DECKY;

export class Turns {
  readonly #open = new Set<Turn>();

  /** As {@link take}, but for the first that comes: null where somebody works on the subject. Who comes later breaks this off. */
  takeIfFree<T>(subject: Subject, work: Work<T>): Promise<T> | null {
    const isTaken = [...this.#open].some((turn) => meet(turn.subject, subject));
    return isTaken ? null : this.take(subject, work);
  }

  /**
   * Breaks off who works on the subject, waits for their end, then works. Rejects at once where a later attempt is there already.
   * Among attempts of the same millisecond the order of the calls counts, so call it before anything is awaited. Each waits for
   * earlier ones only, which is why no two can wait for each other.
   */
  take<T>(subject: Subject, work: Work<T>): Promise<T> {
    const scheduledAt = Context.current().info.currentAttemptScheduledTimestampMs;
    const earlier = [...this.#open].filter((turn) => meet(turn.subject, subject));
    const overtaken = new DeckhandError('Cancelled', 'a later step on the same decky has taken its place');
    if (earlier.some((turn) => turn.scheduledAt > scheduledAt)) return Promise.reject(overtaken);
    for (const { controller } of earlier) controller.abort(overtaken);
    const controller = new AbortController();
    const signal = AbortSignal.any([Context.current().cancellationSignal, controller.signal]);
    const result = afterThem(earlier, signal, work);
    const turn: Turn = {
      subject,
      scheduledAt,
      controller,
      ended: settled(result).then(() => void this.#open.delete(turn)),
    };
    this.#open.add(turn);
    return result;
  }
}

/** One that gives up while it waits leaves those before it open, so that whoever comes next waits for them too. */
async function afterThem<T>(earlier: readonly Turn[], signal: AbortSignal, work: Work<T>): Promise<T> {
  signal.throwIfAborted();
  if (earlier.length > 0) await alive((step) => endOf(earlier, signal, step), signal);
  signal.throwIfAborted();
  return work(signal);
}

function endOf(earlier: readonly Turn[], signal: AbortSignal, step: (text: string) => void): Promise<unknown> {
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
