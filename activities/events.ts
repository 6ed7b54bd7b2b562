/** What workflows ask of the bus: to send what the outbox holds. */
import { Context } from '@temporalio/activity';
import { withFailures } from './failures.ts';

export interface EventActivities {
  /** Sends the outbox in order under its lock; returns how many events the bus took. */
  publishTransitions(): Promise<number>;
}

export type Drain = (signal: AbortSignal) => Promise<number>;

export const createEventActivities = (drain: Drain): EventActivities =>
  withFailures<EventActivities>({ publishTransitions: () => drain(Context.current().cancellationSignal) });
