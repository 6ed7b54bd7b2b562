/** One-shot tokens of our own enrolment. Whoever has one may get a certificate for the host that it names. */
import { createHash, randomBytes } from 'node:crypto';
import { DeckhandError } from '../../fleet/errors.ts';
import type { Queryable } from './connect.ts';

/** What the operator said of the host; it is enrolled when the token is spent. */
export interface Enrollment {
  readonly hostUuid: string;
  readonly name: string;
  readonly address: string;
  readonly agentPort: number;
  readonly sans: readonly string[];
  readonly notes: string | null;
  readonly useIpvlan: boolean;
}

export interface EnrollmentTokens {
  /** The token is told once: only its SHA-256 is kept. */
  create(enrollment: Enrollment, ttlMs?: number): Promise<{ token: string; expiresAt: Date }>;
  /**
   * Spends the token: exactly one caller gets the facts, also of two at the same moment. In a transaction that is rolled
   * back the token stays good. Throws EnrollmentRefused for one that is unknown, expired or used.
   */
  spend(token: string): Promise<Enrollment>;
}

export const ENROLLMENT_TTL_MS = 15 * 60 * 1000;
const TOKEN_BYTES = 32;
const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

export function createEnrollmentTokens(sql: Queryable): EnrollmentTokens {
  return {
    async create(enrollment, ttlMs = ENROLLMENT_TTL_MS) {
      const token = randomBytes(TOKEN_BYTES).toString('base64url');
      const { hostUuid, name, address, agentPort, sans, notes, useIpvlan } = enrollment;
      const [row] = await sql<{ expires_at: Date }[]>`
        with outdated as (delete from enrollment_tokens where expires_at < now() - interval '1 day')
        insert into enrollment_tokens (token_hash, host_uuid, name, address, agent_port, sans, notes, use_ipvlan, expires_at)
        values (${hashOf(token)}, ${hostUuid}, ${name}, ${address}, ${agentPort}, ${sql.json([...sans])}, ${notes},
          ${useIpvlan}, clock_timestamp() + ${ttlMs}::float8 * interval '1 millisecond')
        returning expires_at`;
      if (row === undefined) throw new DeckhandError('Internal', `No row came back for the token of host ${name}`);
      return { token, expiresAt: row.expires_at };
    },
    async spend(token) {
      const [enrollment] = await sql<Enrollment[]>`
        update enrollment_tokens set used_at = clock_timestamp()
        where token_hash = ${hashOf(token)} and used_at is null and expires_at > clock_timestamp()
        returning host_uuid as "hostUuid", name, address, agent_port as "agentPort", sans, notes, use_ipvlan as "useIpvlan"`;
      if (enrollment !== undefined) return enrollment;
      throw new DeckhandError(
        'EnrollmentRefused',
        'The enrolment token is unknown, expired or used. Make a new one: deckhand host enroll NAME ADDRESS.',
      );
    },
  };
}
