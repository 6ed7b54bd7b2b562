/** What workflows ask of the bus: to send what the outbox holds. */
import { Context } from '@temporalio/activity';
import { withFailures } from './failures.ts';

export interface EventActivities {
  /** Sends the outbox in order, together with others of this worker that ask meanwhile; returns how many events the bus took. */
  publishTransitions(): Promise<number>;
}

/** Settles as a round of sending that begins after the call. */
export type Flush = (signal: AbortSignal) => Promise<number>;

export const createEventActivities = (flush: Flush): EventActivities =>
  withFailures<EventActivities>({ publishTransitions: () => flush(Context.current().cancellationSignal) });
