/** Nothing waits for ever: a request is answered with 503 when PostgreSQL or Temporal hang instead of failing. */
import type { Context, MiddlewareHandler } from 'hono';
import { DeckhandError } from '../fleet/errors.ts';
import type { ApiEnv } from './environment.ts';

export interface AnswerDeadlines {
  readonly answerMs: number;
  /** For deploys and teardowns, which have deadlines of their own that end earlier. */
  readonly operationMs: number;
}

export const ANSWER_DEADLINES: AnswerDeadlines = Object.freeze({ answerMs: 10_000, operationMs: 60_000 });

/** Settles as `work` does, or rejects with `late()` after `ms`. */
export async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** What was asked to change something may have been done. */
const adviceFor = (c: Context): string =>
  ['GET', 'HEAD'].includes(c.req.method) ? 'Try again.' : 'Look at the state before you try again.';

const isOperation = (c: Context): boolean =>
  (c.req.method === 'POST' || c.req.method === 'DELETE') && c.req.path.startsWith('/api/v1/deckies/');

export const answerInTime = (deadlines: AnswerDeadlines): MiddlewareHandler<ApiEnv> =>
  async function answerInTime(c, next) {
    const ms = isOperation(c) ? deadlines.operationMs : deadlines.answerMs;
    await within(
      ms,
      next(),
      () =>
        new DeckhandError(
          'Unavailable',
          `No answer from PostgreSQL or Temporal within ${ms / 1000} s. ${adviceFor(c)}`,
        ),
    );
  };
