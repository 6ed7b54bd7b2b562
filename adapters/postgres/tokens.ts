/** What is kept of tokens: the ids of those that were logged out, and tickets for event streams (wire.md 1.2). */
import { createHash, randomBytes } from 'node:crypto';
import type { Sql } from './connect.ts';

export const TICKET_SECONDS = 60;

export interface Tokens {
  /** The token does not count from now on. `expiresAt` in epoch seconds: until then it has to be remembered. */
  revoke(jti: string, expiresAt: number): Promise<void>;
  /** A ticket for `?ticket=`, good for one use within {@link TICKET_SECONDS}. */
  issueTicket(userUuid: string): Promise<string>;
  /** Spends a ticket; the user's uuid, or null when it is unknown, spent or too old. */
  redeemTicket(ticket: string): Promise<string | null>;
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
    async issueTicket(userUuid) {
      const ticket = randomBytes(32).toString('base64url');
      await sql`delete from sse_tickets where expires_at < now()`;
      await sql`
        insert into sse_tickets (ticket_hash, user_uuid, expires_at)
        values (${digest(ticket)}, ${userUuid}, now() + make_interval(secs => ${TICKET_SECONDS}))`;
      return ticket;
    },
    async redeemTicket(ticket) {
      const [row] = await sql<{ user_uuid: string; live: boolean }[]>`
        delete from sse_tickets where ticket_hash = ${digest(ticket)}
        returning user_uuid, expires_at > now() as live`;
      return row?.live === true ? row.user_uuid : null;
    },
  };
}
