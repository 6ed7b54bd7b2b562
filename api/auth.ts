/**
 * Who asks, and whether the role allows it (docs/wire.md#login-and-tokens).
 *
 *   access tokens   signed and verified
 *   the guard       of a route: token, user, role
 *   passwords       argon2id, and the limit of wrong ones
 *   streams         of server-sent events: token or ticket, and how many a user may have
 */
import { randomUUID } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import type { MiddlewareHandler } from 'hono';
import { jwtVerify, SignJWT } from 'jose';
import {
  ROLE,
  type Role,
  type TokenClaims,
  type Tokens,
  type UserRecord,
  type Users,
} from '../adapters/postgres/users.ts';
import { DeckhandError } from '../fleet/errors.ts';
import type { ApiEnv } from './environment.ts';
import { TEXT, TooManyAttempts } from './errors.ts';
import { ErrorBody, json } from './openapi.ts';

/** Access tokens as DECNET's: HS256, `uuid` instead of `sub`, no role. */

const ISSUER = 'decnet';
const AUDIENCE = 'decnet-dashboard';

/**
 * A signature stays valid: each token is verified once. The guard asks the database each time
 * whether the token still counts.
 */
const MOST_VERIFIED = 1_000;

export interface AccessTokens {
  /**
   * `since` (milliseconds): before the user was read. A password that has changed from then on ends
   * the token at once.
   */
  issue(user: UserRecord, since: number): Promise<string>;
  /** The claims of a token that is signed, current and complete; null for any other text. */
  verify(token: string): Promise<TokenClaims | null>;
}

export function createAccessTokens(options: { secret: string; lifetimeMinutes: number }): AccessTokens {
  const key = new TextEncoder().encode(options.secret);
  const verified = new Map<string, TokenClaims>();
  return {
    issue(user, since) {
      const now = Math.floor(Date.now() / 1000);
      // A password changed within this second moved `tokens_valid_from` to the next one: the new
      // token must count, the old not.
      const iat = Math.max(Math.floor(since / 1000), user.tokens_valid_from);
      return new SignJWT({ uuid: user.uuid, typ: 'access' })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setJti(randomUUID().replaceAll('-', ''))
        .setIssuedAt(iat)
        .setExpirationTime(now + options.lifetimeMinutes * 60)
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .sign(key);
    },
    async verify(token) {
      const known = verified.get(token);
      if (known) return known.exp > Date.now() / 1000 ? known : null;
      const claims = await claimsOf(token);
      if (claims === null) return null;
      verified.set(token, claims);
      const [oldest] = verified.keys();
      if (verified.size > MOST_VERIFIED && oldest !== undefined) verified.delete(oldest);
      return claims;
    },
  };

  async function claimsOf(token: string): Promise<TokenClaims | null> {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience: AUDIENCE,
        requiredClaims: ['exp', 'iat', 'jti', 'uuid'],
      });
      const { uuid, jti, iat, exp, typ } = payload;
      if (typ !== 'access' || typeof uuid !== 'string' || jti === undefined) return null;
      if (iat === undefined || exp === undefined || `${uuid}${jti}`.includes('\0')) return null;
      return { uuid, jti, iat, exp };
    } catch {
      return null;
    }
  }
}

/**
 * The guard of a route: who asks, and whether the role allows it. Runs before the body's schema and
 * the path's pattern.
 */

export interface GuardOptions {
  /** `viewer` lets admins in too. */
  readonly role: Role;
  /** Lets in who has to change the password first: to do so, and to log out. */
  readonly beforePasswordChange?: boolean;
}

export type Guard = (options: GuardOptions) => MiddlewareHandler<ApiEnv>;

export const bearerOf = (header: string | undefined): string | null =>
  /^bearer +([\w.~+/=-]+) *$/i.exec(header ?? '')?.[1] ?? null;

/** Whose token it is; null once it has ended, in whatever way. */
export async function ownerOf(users: Users, claims: TokenClaims): Promise<UserRecord | null> {
  const user = await users.ofToken(claims.uuid, claims.jti);
  const counts = user !== null && claims.iat >= user.tokens_valid_from && Date.now() / 1000 < claims.exp;
  return counts ? user : null;
}

export function createGuard(accessTokens: AccessTokens, users: Users): Guard {
  async function identify(header: string | undefined): Promise<{ user: UserRecord; claims: TokenClaims }> {
    const token = bearerOf(header);
    const claims = token === null ? null : await accessTokens.verify(token);
    const user = claims === null ? null : await ownerOf(users, claims);
    if (claims === null || user === null) throw new DeckhandError('Unauthenticated', TEXT.unauthenticated);
    return { user, claims };
  }
  return ({ role, beforePasswordChange = false }) =>
    async function guard(c, next) {
      const { user, claims } = await identify(c.req.header('authorization'));
      c.set('user', user);
      c.set('claims', claims);
      await c.get('auditBegins')?.(user.username);
      if (user.must_change_password && !beforePasswordChange)
        throw new DeckhandError('PasswordChangeRequired', TEXT.passwordChange);
      if (role === ROLE.admin && user.role !== ROLE.admin) throw new DeckhandError('Forbidden', TEXT.forbidden);
      await next();
    };
}

/**
 * Passwords: argon2id. One at a time, since each takes 19 MiB and a core for tens of milliseconds.
 */

/**
 * The algorithm's number in @node-rs/argon2, whose const enum can't be imported in isolated
 * modules.
 */
const ARGON2ID = 2;

export interface Passwords {
  hash(password: string): Promise<string>;
  /**
   * True when the password fits. Without a hash (no such user) as much time is spent and the answer
   * is false. `before` runs when its turn has come: what it throws is the answer.
   */
  verify(password: string, passwordHash: string | null, before?: () => void): Promise<boolean>;
}

export function createPasswords(): Passwords {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  };
  const hashNow = (password: string): Promise<string> => hash(password, { algorithm: ARGON2ID });
  let decoy: Promise<string> | undefined;
  return {
    hash: (password) => inTurn(() => hashNow(password)),
    verify: (password, passwordHash, before) =>
      inTurn(async () => {
        before?.();
        decoy ??= hashNow('a password that nobody has');
        const fits = await verify(passwordHash ?? (await decoy), password);
        return passwordHash !== null && fits;
      }),
  };
}

/**
 * A limit of wrong passwords: counts failures per key within a sliding window. It is in memory, so
 * that a restart forgets them.
 */

export interface FailureLimitOptions {
  readonly failures: number;
  readonly windowMs: number;
  /** Milliseconds; a clock of its own for tests. */
  readonly now?: () => number;
  /** Keys remembered at most; the longest unchanged ones go first. */
  readonly maxKeys?: number;
}

export class FailureLimit {
  readonly #options: Required<FailureLimitOptions>;
  /** In order of the last failure, oldest first. */
  readonly #failures = new Map<string, readonly number[]>();

  constructor(options: FailureLimitOptions) {
    this.#options = { now: Date.now, maxKeys: 10_000, ...options };
  }

  #recent(key: string): readonly number[] {
    const since = this.#options.now() - this.#options.windowMs;
    return (this.#failures.get(key) ?? []).filter((moment) => moment > since);
  }

  /**
   * Seconds until any of the keys may try again, at least 1; null when none has used up its
   * failures.
   */
  retryAfterSeconds(keys: readonly string[]): number | null {
    const waits = keys.map((key) => {
      const recent = this.#recent(key);
      const oldest = recent[recent.length - this.#options.failures];
      return oldest === undefined ? 0 : oldest + this.#options.windowMs - this.#options.now();
    });
    const wait = Math.max(0, ...waits);
    return wait === 0 ? null : Math.max(1, Math.ceil(wait / 1000));
  }

  recordFailure(keys: readonly string[]): void {
    for (const key of keys) {
      const recent = [...this.#recent(key), this.#options.now()].slice(-this.#options.failures);
      this.#failures.delete(key);
      this.#failures.set(key, recent);
    }
    for (const key of this.#failures.keys()) {
      if (this.#failures.size <= this.#options.maxKeys) break;
      this.#failures.delete(key);
    }
  }
}

/** Streams of server-sent events: who may open one, and how many at once. */

/**
 * Open streams of one user, of all kinds; each costs a connection, and one of `/events` up to a
 * thousand events of memory.
 */
const STREAMS_PER_USER = 250;
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

interface TicketPorts {
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
