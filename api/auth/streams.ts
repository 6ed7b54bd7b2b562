/** Streams of server-sent events: who may open one, and how many at once. */
import type { MiddlewareHandler } from 'hono';
import type { Tokens } from '../../adapters/postgres/tokens.ts';
import type { Users } from '../../adapters/postgres/users.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import type { ApiEnv } from '../environment.ts';
import { TEXT, TooManyAttempts } from '../errors.ts';
import { ErrorBody, json } from '../openapi.ts';
import { type Guard, ownerOf } from './guard.ts';

/** Open streams of one user, of all kinds; each costs a connection, and one of `/events` up to a thousand events of memory. */
export const STREAMS_PER_USER = 250;
const TOO_MANY = `${STREAMS_PER_USER} event streams of yours are open; close some.`;
const RETRY_SECONDS = 10;

export const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
};

/** The answer to one stream too many, for the OpenAPI document. */
export const tooManyStreams = {
  429: {
    description: 'Too many streams of this user are open.',
    content: json(ErrorBody.extend({ error: ErrorBody.shape.detail }), { error: TOO_MANY, detail: TOO_MANY }),
  },
};

/** Counts the open streams of each user. */
export class OpenStreams {
  readonly #open = new Map<string, number>();

  /** Takes a place; the answer gives it back, once. Throws TooManyAttempts. */
  enter(uuid: string): () => void {
    const open = this.#open.get(uuid) ?? 0;
    if (open >= STREAMS_PER_USER) throw new TooManyAttempts(TOO_MANY, RETRY_SECONDS);
    this.#open.set(uuid, open + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      const left = (this.#open.get(uuid) ?? 1) - 1;
      if (left > 0) this.#open.set(uuid, left);
      else this.#open.delete(uuid);
    };
  }
}

export interface TicketPorts {
  readonly guard: Guard;
  readonly tokens: Tokens;
  readonly users: Users;
}

/** Where a browser can send no header, a ticket stands for the token that asked for it. */
export function tokenOrTicket(deps: TicketPorts): MiddlewareHandler<ApiEnv> {
  const byToken = deps.guard({ role: 'viewer' });
  return async function tokenOrTicket(c, next) {
    const ticket = c.req.query('ticket');
    if (ticket === undefined) return byToken(c, next);
    const claims = await deps.tokens.redeemTicket(ticket);
    const user = claims === null ? null : await ownerOf(deps.users, claims);
    if (claims === null || user === null) throw new DeckhandError('Unauthenticated', TEXT.unauthenticated);
    if (user.must_change_password) throw new DeckhandError('PasswordChangeRequired', TEXT.passwordChange);
    c.set('user', user);
    c.set('claims', claims);
    await next();
  };
}
