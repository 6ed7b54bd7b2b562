/** How long one attempt on a decky may take at most, however often something moves. Master and agent know the same bound. */

/** A slow pull or build moves again and again. It has this many times `progress_deadline`. */
const LONGEST_PROGRESS = 6;
/** For the calls and the reports in between. */
const GRACE_MS = 60_000;
/** Deckies that an agent brings up at one time. */
const AT_ONCE = 12;

export interface Deadlines {
  readonly progressDeadlineMs: number;
  readonly healthyDeadlineMs: number;
}

/** Of bringing one decky's containers up, before they are waited for. */
export const bringUpBoundMs = ({ progressDeadlineMs }: Pick<Deadlines, 'progressDeadlineMs'>): number =>
  LONGEST_PROGRESS * progressDeadlineMs;

/** Of one order, from its dispatch. An agent removes first, and brings up twelve deckies at a time. */
export function attemptBoundMs(deadlines: Deadlines, deckies: number): number {
  const rounds = 1 + Math.ceil(deckies / AT_ONCE);
  return rounds * (bringUpBoundMs(deadlines) + deadlines.healthyDeadlineMs) + GRACE_MS;
}
