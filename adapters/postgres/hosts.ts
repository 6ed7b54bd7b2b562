/** Hosts of the swarm (docs/states/host.md). Every function is one statement, so that it works in a transaction too. */
import { DeckhandError } from '../../fleet/errors.ts';
import { isUniqueViolation, type Queryable } from './connect.ts';

/** `enrolled`: never heard of yet; `unreachable`: silent for too long, or a probe failed. */
export const HOST_STATUS = Object.freeze({ enrolled: 'enrolled', active: 'active', unreachable: 'unreachable' });
export type HostStatus = (typeof HOST_STATUS)[keyof typeof HOST_STATUS];

export interface Host {
  readonly uuid: string;
  readonly name: string;
  readonly address: string;
  readonly agentPort: number;
  readonly status: HostStatus;
  /** The last sign of life: a heartbeat, or an answer to a call. */
  readonly lastHeartbeat: Date | null;
  /** The certificate that the host is pinned to. */
  readonly fingerprint: string;
  /** Issued and not seen in use yet; as good as the other until then. */
  readonly nextFingerprint: string | null;
  readonly certNotAfter: Date | null;
  readonly updaterFingerprint: string | null;
  readonly enrolledAt: Date;
  readonly notes: string | null;
  readonly useIpvlan: boolean;
  readonly draining: boolean;
  /** True for an agent of ours. */
  readonly fenced: boolean;
  readonly agentVersion: string | null;
  /** Its clock minus ours. */
  readonly clockOffsetMs: number;
  readonly renewRequested: boolean;
  readonly reportHash: string | null;
  /** Deckies that it still has to take down: it was lost, or they moved to another host. */
  readonly pendingTeardowns: number;
}

export interface NewHost {
  readonly uuid: string;
  readonly name: string;
  readonly address: string;
  readonly agentPort: number;
  readonly notes: string | null;
  readonly useIpvlan: boolean;
  readonly fingerprint: string;
  readonly certNotAfter: Date;
  readonly fenced: boolean;
  readonly updaterFingerprint?: string | null;
}

export interface HostChanges {
  readonly address?: string;
  readonly notes?: string | null;
  readonly useIpvlan?: boolean;
  readonly draining?: boolean;
}

export interface HostStore {
  /** By name. */
  list(filter?: { readonly status?: HostStatus }): Promise<Host[]>;
  get(uuid: string): Promise<Host | null>;
  byName(name: string): Promise<Host | null>;
  /** The host with this certificate, the one in use or the next. */
  byFingerprint(fingerprint: string): Promise<Host | null>;
  /** Throws HostExists. */
  enroll(host: NewHost): Promise<Host>;
  /** Deletes the host and revokes its certificates in one statement; what it was, or null when there is none. */
  remove(uuid: string): Promise<Host | null>;
  /** A sign of life: `active`, with the moment. False when there is no such host. */
  markReachable(uuid: string, seen?: { readonly clockOffsetMs?: number }): Promise<boolean>;
  markUnreachable(uuid: string): Promise<boolean>;
  /** Makes hosts `unreachable` whose last sign of life is older than `ageMs`; returns those that it changed. */
  silentSince(ageMs: number): Promise<Host[]>;
  change(uuid: string, changes: HostChanges): Promise<Host | null>;
  setDraining(uuid: string, draining: boolean): Promise<boolean>;
  /** The agent is told with its next heartbeat; stands until the new certificate is in use. */
  requestRenewal(uuid: string): Promise<boolean>;
  /** After the master's own certificate was renewed: agents pin it, and get the new pin with their renewal. Number of hosts. */
  requestRenewalOfAll(): Promise<number>;
  /** A new certificate was issued to the host; an earlier one that was never used no longer counts. */
  certificateIssued(uuid: string, fingerprint: string, notAfter: Date): Promise<boolean>;
  /** The next certificate was seen in use: it is the host's now, the old one is revoked. False when it is not the next one. */
  adoptCertificate(uuid: string, fingerprint: string): Promise<boolean>;
  isRevoked(fingerprint: string): Promise<boolean>;
}

export function createHostStore(sql: Queryable): HostStore {
  return { ...readers(sql), ...signs(sql), ...certificates(sql), ...membership(sql) };
}

/** The columns of {@link Host}, of a table or query named `swarm_hosts`. */
const columns = (sql: Queryable) => sql`
  uuid, name, address, agent_port as "agentPort", status, last_heartbeat as "lastHeartbeat",
  client_cert_fingerprint as fingerprint, next_cert_fingerprint as "nextFingerprint",
  cert_not_after as "certNotAfter", updater_cert_fingerprint as "updaterFingerprint", enrolled_at as "enrolledAt",
  notes, use_ipvlan as "useIpvlan", draining, fenced, agent_version as "agentVersion",
  clock_offset_ms as "clockOffsetMs", renew_requested as "renewRequested", report_hash as "reportHash",
  (select count(*)::int from owed_teardowns o where o.host_uuid = swarm_hosts.uuid) as "pendingTeardowns"`;

function readers(sql: Queryable): Pick<HostStore, 'list' | 'get' | 'byName' | 'byFingerprint' | 'isRevoked'> {
  return {
    list: ({ status } = {}) => sql<Host[]>`
      select ${columns(sql)} from swarm_hosts
      where ${status === undefined ? sql`true` : sql`status = ${status}`} order by name`,
    async get(uuid) {
      const [host] = await sql<Host[]>`select ${columns(sql)} from swarm_hosts where uuid = ${uuid}`;
      return host ?? null;
    },
    async byName(name) {
      const [host] = await sql<Host[]>`select ${columns(sql)} from swarm_hosts where name = ${name}`;
      return host ?? null;
    },
    async byFingerprint(fingerprint) {
      const [host] = await sql<Host[]>`
        select ${columns(sql)} from swarm_hosts
        where client_cert_fingerprint = ${fingerprint} or next_cert_fingerprint = ${fingerprint}`;
      return host ?? null;
    },
    async isRevoked(fingerprint) {
      const [row] = await sql`select 1 from revoked_certificates where fingerprint = ${fingerprint}`;
      return row !== undefined;
    },
  };
}

function membership(sql: Queryable): Pick<HostStore, 'enroll' | 'remove' | 'change' | 'setDraining'> {
  return {
    async enroll(host) {
      try {
        return await insert(sql, host);
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        // DECNET's sentence, which its clients show (exchanges of the swarm controller).
        throw new DeckhandError('HostExists', `Worker '${host.name}' is already enrolled`, { cause: error });
      }
    },
    async remove(uuid) {
      const [host] = await sql<Host[]>`
        with expired as (delete from revoked_certificates where expires_at < now()),
        gone as (delete from swarm_hosts where uuid = ${uuid} returning *),
        revoked as (
          insert into revoked_certificates (fingerprint, host_name, expires_at)
          select fingerprint, name, expires_at from gone,
            lateral (values (client_cert_fingerprint, cert_not_after), (next_cert_fingerprint, next_cert_not_after),
              (updater_cert_fingerprint, null)) as certificates (fingerprint, expires_at)
          where fingerprint is not null
          on conflict (fingerprint) do nothing)
        select ${columns(sql)} from gone as swarm_hosts`;
      return host ?? null;
    },
    async change(uuid, changes) {
      const fields = {
        ...(changes.address === undefined ? {} : { address: changes.address }),
        ...(changes.notes === undefined ? {} : { notes: changes.notes }),
        ...(changes.useIpvlan === undefined ? {} : { use_ipvlan: changes.useIpvlan }),
        ...(changes.draining === undefined ? {} : { draining: changes.draining }),
      };
      const set = Object.keys(fields).length === 0 ? sql`name = name` : sql(fields);
      const [host] = await sql<Host[]>`
        update swarm_hosts set ${set} where uuid = ${uuid} returning ${columns(sql)}`;
      return host ?? null;
    },
    setDraining: async (uuid, draining) =>
      (await sql`update swarm_hosts set draining = ${draining} where uuid = ${uuid}`).count === 1,
  };
}

async function insert(sql: Queryable, host: NewHost): Promise<Host> {
  const [row] = await sql<Host[]>`
    insert into swarm_hosts (uuid, name, address, agent_port, notes, use_ipvlan, client_cert_fingerprint, cert_not_after,
      fenced, updater_cert_fingerprint)
    values (${host.uuid}, ${host.name}, ${host.address}, ${host.agentPort}, ${host.notes}, ${host.useIpvlan},
      ${host.fingerprint}, ${host.certNotAfter}, ${host.fenced}, ${host.updaterFingerprint ?? null})
    returning ${columns(sql)}`;
  if (row === undefined) throw new DeckhandError('Internal', `No row came back for the new host ${host.name}`);
  return row;
}

function signs(sql: Queryable): Pick<HostStore, 'markReachable' | 'markUnreachable' | 'silentSince'> {
  return {
    async markReachable(uuid, seen = {}) {
      const result = await sql`
        update swarm_hosts set status = 'active', last_heartbeat = clock_timestamp(),
          clock_offset_ms = coalesce(${seen.clockOffsetMs ?? null}::float8, clock_offset_ms)
        where uuid = ${uuid}`;
      return result.count === 1;
    },
    markUnreachable: async (uuid) =>
      (await sql`update swarm_hosts set status = 'unreachable' where uuid = ${uuid}`).count === 1,
    silentSince: (ageMs) => sql<Host[]>`
      update swarm_hosts set status = 'unreachable'
      where status = 'active' and last_heartbeat < clock_timestamp() - ${ageMs}::float8 * interval '1 millisecond'
      returning ${columns(sql)}`,
  };
}

function certificates(
  sql: Queryable,
): Pick<HostStore, 'requestRenewal' | 'requestRenewalOfAll' | 'certificateIssued' | 'adoptCertificate'> {
  return {
    requestRenewal: async (uuid) =>
      (await sql`update swarm_hosts set renew_requested = true where uuid = ${uuid}`).count === 1,
    requestRenewalOfAll: async () => (await sql`update swarm_hosts set renew_requested = true`).count,
    async certificateIssued(uuid, fingerprint, notAfter) {
      const result = await sql`
        update swarm_hosts set next_cert_fingerprint = ${fingerprint}, next_cert_not_after = ${notAfter}
        where uuid = ${uuid}`;
      return result.count === 1;
    },
    async adoptCertificate(uuid, fingerprint) {
      const adopted = await sql`
        with old as (
          select uuid, name, client_cert_fingerprint, cert_not_after from swarm_hosts
          where uuid = ${uuid} and next_cert_fingerprint = ${fingerprint} for update),
        revoked as (
          insert into revoked_certificates (fingerprint, host_name, expires_at)
          select client_cert_fingerprint, name, cert_not_after from old
          on conflict (fingerprint) do nothing)
        update swarm_hosts host set client_cert_fingerprint = host.next_cert_fingerprint,
          cert_not_after = host.next_cert_not_after, next_cert_fingerprint = null, next_cert_not_after = null,
          renew_requested = false
        from old where host.uuid = old.uuid
        returning host.uuid`;
      return adopted.length === 1;
    },
  };
}

/** A move was accepted: the host gets no new deckies, and its next report is taken in wholly, which begins its pending teardowns. */
export const drainForMove = (tx: Queryable, uuid: string) => tx`
  update swarm_hosts set draining = true, report_hash = null where uuid = ${uuid}`;
