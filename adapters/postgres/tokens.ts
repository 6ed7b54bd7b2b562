/** What is kept of tokens: the ids of those that were logged out, and tickets for event streams (docs/wire.md#login-and-tokens). */
import { createHash, randomBytes } from 'node:crypto';
import type { Sql } from './connect.ts';

export const TICKET_SECONDS = 60;

/** What a token says of itself. */
export interface TokenClaims {
  readonly uuid: string;
  readonly jti: string;
  /** Epoch seconds. */
  readonly iat: number;
  readonly exp: number;
}

export interface Tokens {
  /** The token does not count from now on. `expiresAt` in epoch seconds: until then it has to be remembered. */
  revoke(jti: string, expiresAt: number): Promise<void>;
  /** A ticket for `?ticket=`, good for one use within {@link TICKET_SECONDS}, in place of the token that asks for it. */
  issueTicket(claims: TokenClaims): Promise<string>;
  /** Spends a ticket; the claims of its token, which may have ended, or null when the ticket is unknown, spent or too old. */
  redeemTicket(ticket: string): Promise<TokenClaims | null>;
}

const digest = (ticket: string): string => createHash('sha256').update(ticket).digest('hex');

export function createTokens(sql: Sql): Tokens {
  return {
    async revoke(jti, expiresAt) {
      await sql`delete from revoked_tokens where expires_at < now()`;
      await sql`
        insert into revoked_tokens (jti, expires_at) values (${jti}, to_timestamp(${expiresAt}))
        on conflict (jti) do nothing`;
    },
    async issueTicket({ uuid, jti, iat, exp }) {
      const ticket = randomBytes(32).toString('base64url');
      await sql`delete from sse_tickets where expires_at < now()`;
      await sql`
        insert into sse_tickets (ticket_hash, user_uuid, token_jti, token_iat, token_exp, expires_at)
        values (${digest(ticket)}, ${uuid}, ${jti}, ${iat}, ${exp}, now() + make_interval(secs => ${TICKET_SECONDS}))`;
      return ticket;
    },
    async redeemTicket(ticket) {
      const [row] = await sql<(TokenClaims & { live: boolean })[]>`
        delete from sse_tickets where ticket_hash = ${digest(ticket)}
        returning user_uuid as uuid, token_jti as jti, token_iat::float8 as iat, token_exp::float8 as exp,
          expires_at > now() as live`;
      if (row?.live !== true) return null;
      const { live: _, ...claims } = row;
      return claims;
    },
  };
}
