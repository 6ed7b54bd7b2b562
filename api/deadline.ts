/** Nothing waits for ever: a request is answered with 503 when PostgreSQL or Temporal hang instead of failing. */
import type { Context, MiddlewareHandler } from 'hono';
import { DeckhandError } from '../fleet/errors.ts';
import type { ApiEnv } from './environment.ts';

const ANSWER_MS = 10_000;
/** Deploys and teardowns have deadlines of their own, which end earlier. */
const OPERATION_MS = 60_000;

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

const isOperation = (c: Context): boolean =>
  (c.req.method === 'POST' || c.req.method === 'DELETE') && c.req.path.startsWith('/api/v1/deckies/');

export const answerInTime: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const ms = isOperation(c) ? OPERATION_MS : ANSWER_MS;
  await within(
    ms,
    next(),
    () =>
      new DeckhandError(
        'Unavailable',
        `No answer from PostgreSQL or Temporal within ${ms / 1000} s. Look at the state before you try again.`,
      ),
  );
};
