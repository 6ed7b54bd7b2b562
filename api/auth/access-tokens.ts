/** Access tokens as DECNET's: HS256, `uuid` instead of `sub`, no role (docs/wire.md#login-and-tokens). */
import { randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import type { TokenClaims } from '../../adapters/postgres/tokens.ts';
import type { UserRecord } from '../../adapters/postgres/users.ts';

const ISSUER = 'decnet';
const AUDIENCE = 'decnet-dashboard';

/** A signature that was right stays right: who polls has it looked at once. Whether a token still counts is asked elsewhere, each time. */
const MOST_VERIFIED = 1_000;

export interface AccessTokens {
  /** `since` (milliseconds): before the user was read. A password that has changed from then on ends the token at once. */
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
      // A password changed within this second moved `tokens_valid_from` to the next one: the new token must count, the old not.
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
      const claims = await verify(token);
      if (claims === null) return null;
      verified.set(token, claims);
      const [oldest] = verified.keys();
      if (verified.size > MOST_VERIFIED && oldest !== undefined) verified.delete(oldest);
      return claims;
    },
  };

  async function verify(token: string): Promise<TokenClaims | null> {
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
