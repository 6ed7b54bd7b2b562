/** Every activity's errors leave as ApplicationFailures whose `type` is a code of the one table. */
import { ApplicationFailure } from '@temporalio/activity';
import { type DeckhandError, isDeckhandError } from '../fleet/errors.ts';

/** `cut` removes known secrets from the sentence, since a failure stands in the workflow's history. */
export function toFailure(error: unknown, cut: (text: string) => string = (text) => text): unknown {
  if (!isDeckhandError(error)) return error;
  return ApplicationFailure.create({ type: error.code, message: cut(error.message), nonRetryable: !error.retryable });
}

/** An error that a retry may cure elsewhere, and not here. */
export const finalFailure = (error: DeckhandError, cut: (text: string) => string): ApplicationFailure =>
  ApplicationFailure.create({ type: error.code, message: cut(error.message), nonRetryable: true });

type Activity = (...args: unknown[]) => Promise<unknown>;

/** Wraps each activity of a factory so that DeckhandErrors are understood by Temporal. */
export function withFailures<T extends object>(activities: T): T {
  const wrapped = Object.entries(activities as Record<string, Activity>).map(([name, activity]) => [
    name,
    async (...args: unknown[]) => {
      try {
        return await activity(...args);
      } catch (error) {
        throw toFailure(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as T;
}
