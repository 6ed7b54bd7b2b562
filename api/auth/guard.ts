/** The guard of a route: who asks, and whether the role allows it. Runs before the body's schema and the path's pattern. */
import type { MiddlewareHandler } from 'hono';
import type { TokenClaims } from '../../adapters/postgres/tokens.ts';
import { ROLE, type Role, type UserRecord, type Users } from '../../adapters/postgres/users.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import type { ApiEnv } from '../environment.ts';
import { TEXT } from '../errors.ts';
import type { AccessTokens } from './access-tokens.ts';

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
