/** The questions about hosts, typed: `/api/v1/swarm` of the master. */
import type { ApiClient } from './api-client.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { harmless } from './text.ts';

export interface HostView {
  readonly uuid: string;
  readonly name: string;
  readonly address: string;
  readonly agent_port: number;
  /** `enrolled` (never heard of), `active` or `unreachable`. */
  readonly status: string;
  readonly last_heartbeat: string | null;
  readonly client_cert_fingerprint: string;
  readonly enrolled_at: string;
  readonly notes: string | null;
  readonly use_ipvlan: boolean;
  readonly draining?: boolean;
  readonly agent_version?: string | null;
  /** When its certificate ends. */
  readonly cert_not_after?: string | null;
  readonly renew_requested?: boolean;
  /** Deckies that it still has to take down. */
  readonly owes?: number;
}

export interface EnrollmentBody {
  readonly name: string;
  readonly address: string;
  readonly agent_port?: number;
  readonly sans?: readonly string[];
  readonly notes?: string;
  readonly use_ipvlan?: boolean;
}

export interface Enrollment {
  readonly host_uuid: string;
  readonly token: string;
  /** One line, to be run on the host. */
  readonly command: string;
  readonly expires_at: string;
  readonly ca_fingerprint: string;
}

export interface Hosts {
  enroll(body: EnrollmentBody): Promise<Enrollment>;
  /** The master asks each agent now: `status` is what it found. */
  list(): Promise<readonly HostView[]>;
  /** Throws CliError (1) where there is none of that name. */
  named(name: string): Promise<HostView>;
  change(uuid: string, change: { readonly draining?: boolean; readonly renew?: true }): Promise<void>;
  /** Takes down what the fleet has there; the ids of its rows, null where the master makes none. */
  teardown(uuid: string): Promise<readonly string[] | null>;
  /** Its deckies go to other hosts. */
  move(uuid: string): Promise<{ readonly deploymentId: string | null; readonly ids: readonly string[] }>;
  /** Forgets the host and revokes its certificates; the agent may be told to remove itself first. */
  remove(uuid: string, selfDestruct: boolean): Promise<void>;
}

const HOSTS = '/api/v1/swarm/hosts';

export function hostsOf(client: ApiClient): Hosts {
  const list = async (): Promise<readonly HostView[]> => (await client.request<HostView[]>('GET', HOSTS)).body;
  return {
    list,
    async enroll(body) {
      return (await client.request<Enrollment>('POST', '/api/v1/swarm/enrollments', { body })).body;
    },
    async named(name) {
      const hosts = await list();
      const host = hosts.find((one) => one.name === name || one.uuid === name);
      if (host) return host;
      const known = hosts.map((one) => harmless(one.name)).join(', ');
      throw new CliError(EXIT.refused, `No host is named ${name}.`, {
        code: 'NotFound',
        advice: known ? `Enrolled are: ${known}.` : 'No host is enrolled; `deckhand host enroll NAME ADDRESS` does it.',
      });
    },
    async change(uuid, change) {
      await client.request('PATCH', `${HOSTS}/${encodeURIComponent(uuid)}`, { body: change });
    },
    async teardown(uuid) {
      const path = `${HOSTS}/${encodeURIComponent(uuid)}/teardown`;
      const answer = await client.request<{ lifecycle_ids?: string[] }>('POST', path, { body: { decky_id: null } });
      return answer.body.lifecycle_ids ?? null;
    },
    async move(uuid) {
      const path = `${HOSTS}/${encodeURIComponent(uuid)}/move`;
      const { body, headers } = await client.request<{ lifecycle_ids: string[] }>('POST', path);
      return { deploymentId: headers.get('deckhand-deployment-id'), ids: body.lifecycle_ids };
    },
    async remove(uuid, selfDestruct) {
      const query = { self_destruct: String(selfDestruct) };
      await client.request('DELETE', `${HOSTS}/${encodeURIComponent(uuid)}`, { query });
    },
  };
}
