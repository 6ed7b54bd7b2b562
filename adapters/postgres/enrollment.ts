/** One-shot tokens of our own enrolment. Whoever has one may get a certificate for the host that it names. */
import { createHash, randomBytes } from 'node:crypto';
import { DeckhandError } from '../../fleet/errors.ts';
import type { Queryable, Sql } from './connect.ts';
import { createHostStore, type Host } from './hosts.ts';

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

/** Spending a token and enrolling its host, in one transaction: where the one fails the other did not happen. */

export interface Certified {
  readonly fingerprint: string;
  readonly notAfter: Date;
}

export interface Enrollments {
  /** `certify` makes the certificate for the host that the token names. Throws EnrollmentRefused, HostExists, and what `certify` throws. */
  join<T extends Certified>(
    token: string,
    certify: (enrollment: Enrollment) => Promise<T>,
  ): Promise<{ host: Host; certificate: T }>;
}

export const createEnrollments = (sql: Sql): Enrollments => ({
  join: (token, certify) =>
    sql.begin(async (tx) => {
      const enrollment = await createEnrollmentTokens(tx).spend(token);
      const certificate = await certify(enrollment);
      const host = await createHostStore(tx).enroll({
        uuid: enrollment.hostUuid,
        name: enrollment.name,
        address: enrollment.address,
        agentPort: enrollment.agentPort,
        notes: enrollment.notes,
        useIpvlan: enrollment.useIpvlan,
        fingerprint: certificate.fingerprint,
        certNotAfter: certificate.notAfter,
        fenced: true,
      });
      return { host, certificate };
    }) as Promise<{ host: Host; certificate: Awaited<ReturnType<typeof certify>> }>,
});

/** One-shot tokens of DECNET's enrolment by bundle, and what the operator said of each. */

export interface BundleRequest {
  readonly masterHost: string;
  readonly agentName: string;
  readonly withUpdater: boolean;
  readonly useIpvlan: boolean;
  readonly servicesIni: string | null;
}

export interface OpenBundle extends BundleRequest {
  readonly hostUuid: string;
  readonly expiresAt: Date;
}

export interface BundleTokens {
  /** The token is told once: only its SHA-256 is kept. */
  create(request: BundleRequest & { readonly hostUuid: string }): Promise<{ token: string; expiresAt: Date }>;
  /** Null: spent, expired, or never made. */
  find(token: string): Promise<OpenBundle | null>;
  /** Spends the token: one caller gets it. In a transaction that is rolled back it stays good. */
  take(token: string): Promise<OpenBundle | null>;
}

const BUNDLE_TTL_SECONDS = 5 * 60;
/** More can't be open at once; ten a minute are made at most. */
const MOST_OPEN_BUNDLES = 1_000;

export function createBundleTokens(sql: Queryable): BundleTokens {
  const columns = sql`host_uuid as "hostUuid", master_host as "masterHost", agent_name as "agentName",
    with_updater as "withUpdater", use_ipvlan as "useIpvlan", services_ini as "servicesIni", expires_at as "expiresAt"`;
  return {
    async create({ hostUuid, masterHost, agentName, withUpdater, useIpvlan, servicesIni }) {
      await sql`delete from enrollment_bundles where expires_at < clock_timestamp()`;
      const token = randomBytes(TOKEN_BYTES).toString('base64url');
      const [row] = await sql<{ expiresAt: Date }[]>`
        insert into enrollment_bundles (token_hash, host_uuid, master_host, agent_name, with_updater, use_ipvlan, services_ini, expires_at)
        select ${hashOf(token)}, ${hostUuid}, ${masterHost}, ${agentName}, ${withUpdater}, ${useIpvlan}, ${servicesIni},
          clock_timestamp() + make_interval(secs => ${BUNDLE_TTL_SECONDS})
        where (select count(*) from enrollment_bundles) < ${MOST_OPEN_BUNDLES}
        returning expires_at as "expiresAt"`;
      if (row === undefined)
        throw new DeckhandError('Unavailable', 'Too many bundles are open. They expire within five minutes.');
      return { token, expiresAt: row.expiresAt };
    },
    async find(token) {
      const [bundle] = await sql<OpenBundle[]>`
        select ${columns} from enrollment_bundles where token_hash = ${hashOf(token)} and expires_at > clock_timestamp()`;
      return bundle ?? null;
    },
    async take(token) {
      const [bundle] = await sql<OpenBundle[]>`
        delete from enrollment_bundles where token_hash = ${hashOf(token)} and expires_at > clock_timestamp()
        returning ${columns}`;
      return bundle ?? null;
    },
  };
}

/** Which certificate of the master its hosts were told to pin. */

const PIN_KEY = 'master_fingerprint';

/**
 * Remembers the master's certificate. Where it is another than before, all hosts are asked to renew theirs, since they
 * learn the new pin with the answer. One statement: neither happens without the other. True where it changed.
 */
export async function rememberMaster(sql: Sql, fingerprint: string): Promise<boolean> {
  const [row] = await sql<{ changed: boolean }[]>`
    with known as (select value from settings where key = ${PIN_KEY}),
    kept as (
      insert into settings (key, value) values (${PIN_KEY}, to_jsonb(${fingerprint}::text))
      on conflict (key) do update set value = excluded.value, updated_at = now()
      where settings.value <> excluded.value),
    asked as (
      update swarm_hosts set renew_requested = true
      where exists (select from known where value <> to_jsonb(${fingerprint}::text)))
    select exists (select from known where value <> to_jsonb(${fingerprint}::text)) as changed`;
  return row?.changed ?? false;
}
