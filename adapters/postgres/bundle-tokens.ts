/** One-shot tokens of DECNET's enrolment by bundle, and what the operator said of each. */
import { createHash, randomBytes } from 'node:crypto';
import { DeckhandError } from '../../fleet/errors.ts';
import type { Queryable } from './connect.ts';

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

const TTL_SECONDS = 5 * 60;
const TOKEN_BYTES = 32;
/** More can't be open at once; ten a minute are made at most. */
const MOST_OPEN = 1_000;
const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

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
          clock_timestamp() + make_interval(secs => ${TTL_SECONDS})
        where (select count(*) from enrollment_bundles) < ${MOST_OPEN}
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
