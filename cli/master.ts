/** The questions that the command puts to a master, typed. */
import { LIMITS } from '../fleet/limits.ts';
import type { ApiClient } from './api-client.ts';
import type {
  DeployAccepted,
  DeploymentDetail,
  DeploymentSummary,
  DriftOverview,
  FleetOverview,
  OperationRow,
  ReconcileAnswer,
  ReconcileBody,
} from './api-types.ts';
import { CliError, EXIT } from './errors.ts';
import { harmless } from './text.ts';

export interface DeployBody {
  readonly ini_content: string;
  readonly replace_fleet: boolean;
  readonly max_parallel?: number;
  readonly min_healthy_time?: string;
  readonly healthy_deadline?: string;
  readonly progress_deadline?: string;
  readonly host_lost_after?: string;
}

export interface Accepted extends DeployAccepted {
  /** null when an older master does not name it. */
  readonly deployment_id: string | null;
}

interface MutateAccepted {
  /** One. */
  readonly lifecycle_ids: readonly string[];
  readonly deployment_id: string;
  readonly warnings?: readonly string[];
}

export interface Cancelled {
  readonly deployment_id: string;
  /** Of the rows that were open. */
  readonly lifecycle_ids: readonly string[];
}

export interface Master {
  /** Whether it has answered anything yet. */
  readonly heard: boolean;
  /** The same key with the same body is the same deploy, however often it is sent. */
  deploy(body: DeployBody, idempotencyKey: string): Promise<Accepted>;
  /** Without services they are drawn; the same key with the same services is the same mutation. */
  mutate(name: string, services: readonly string[] | null, idempotencyKey: string): Promise<MutateAccepted>;
  /** `30m`, `5d`…; null: never. */
  setMutateInterval(name: string, interval: string | null): Promise<void>;
  drift(filter: { readonly decky?: string; readonly host?: string }): Promise<DriftOverview>;
  reconcile(body: ReconcileBody): Promise<ReconcileAnswer>;
  power(
    name: string,
    kind: 'stop' | 'start',
  ): Promise<{ readonly deployment_id: string; readonly lifecycle_ids: readonly string[] }>;
  /** `5m`, `1d`…; null: by hand only. */
  setReconcileInterval(interval: string | null): Promise<void>;
  deployments(limit: number): Promise<readonly DeploymentSummary[]>;
  deployment(id: string): Promise<DeploymentDetail>;
  cancel(id: string): Promise<Cancelled>;
  fleet(): Promise<FleetOverview>;
  /** `down`: it is gone. Else the ids of the rows that tell when. */
  teardown(name: string): Promise<{ readonly down: boolean; readonly lifecycleIds: readonly string[] }>;
  /** The ids of the rows of all that goes; none where there is nothing. */
  teardownAll(hostLostAfter?: string): Promise<readonly string[]>;
  lifecycle(ids: readonly string[]): Promise<readonly OperationRow[]>;
}

export function masterOf(client: ApiClient): Master {
  const get = async <T>(path: string, query?: Record<string, string | readonly string[]>): Promise<T> =>
    (await client.request<T>('GET', path, query ? { query } : {})).body;
  return {
    get heard() {
      return client.heard;
    },
    async deploy(body, idempotencyKey) {
      const headers = { 'idempotency-key': idempotencyKey };
      const answer = await client.request<DeployAccepted>('POST', '/api/v1/deckies/deploy', { body, headers });
      return { ...answer.body, deployment_id: answer.headers.get('deckhand-deployment-id') };
    },
    async mutate(name, services, idempotencyKey) {
      const path = `/api/v1/deckies/${encodeURIComponent(name)}/mutate`;
      const body = services === null ? {} : { services };
      const headers = { 'idempotency-key': idempotencyKey };
      const answer = await client.request<Omit<MutateAccepted, 'deployment_id'>>('POST', path, { body, headers });
      // An older master does not name it: there the row has its id.
      const [row = ''] = answer.body.lifecycle_ids;
      return { ...answer.body, deployment_id: answer.headers.get('deckhand-deployment-id') ?? row };
    },
    async setMutateInterval(name, interval) {
      const path = `/api/v1/deckies/${encodeURIComponent(name)}/mutate-interval`;
      await client.request('PUT', path, { body: { mutate_interval: interval } });
    },
    drift: (filter) =>
      get<DriftOverview>(
        '/api/v1/drift',
        Object.fromEntries(Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined)),
      ),
    reconcile: async (body) => (await client.request<ReconcileAnswer>('POST', '/api/v1/reconcile', { body })).body,
    async power(name, kind) {
      const path = `/api/v1/deckies/${encodeURIComponent(name)}/${kind}`;
      const answer = await client.request<{ lifecycle_ids: string[] }>('POST', path);
      return { ...answer.body, deployment_id: answer.headers.get('deckhand-deployment-id') ?? '' };
    },
    async setReconcileInterval(interval) {
      await client.request('PUT', '/api/v1/config/reconcile-interval', { body: { reconcile_interval: interval } });
    },
    async deployments(limit) {
      const query = { limit: String(limit) };
      return (await get<{ deployments: DeploymentSummary[] }>('/api/v1/deployments', query)).deployments;
    },
    deployment: (id) => get<DeploymentDetail>(`/api/v1/deployments/${encodeURIComponent(id)}`),
    cancel: async (id) =>
      (await client.request<Cancelled>('POST', `/api/v1/deployments/${encodeURIComponent(id)}/cancel`)).body,
    fleet: () => get<FleetOverview>('/api/v1/fleet'),
    async teardown(name) {
      const path = `/api/v1/deckies/${encodeURIComponent(name)}`;
      const answer = await client.request<{ lifecycle_ids?: string[] } | null>('DELETE', path);
      return { down: answer.status === 204, lifecycleIds: answer.body?.lifecycle_ids ?? [] };
    },
    async teardownAll(hostLostAfter) {
      const query = hostLostAfter === undefined ? {} : { host_lost_after: hostLostAfter };
      const answer = await client.request<{ lifecycle_ids: string[] }>('DELETE', '/api/v1/deckies', { query });
      return answer.body.lifecycle_ids;
    },
    async lifecycle(ids) {
      const rows: OperationRow[] = [];
      for (let at = 0; at < ids.length; at += LIMITS.lifecycleIdsPerQuery) {
        const some = ids.slice(at, at + LIMITS.lifecycleIdsPerQuery);
        rows.push(...(await get<{ rows: OperationRow[] }>('/api/v1/deckies/lifecycle', { ids: some })).rows);
      }
      return rows;
    },
  };
}

/** The questions about hosts, typed: `/api/v1/swarm` of the master. */

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

interface EnrollmentBody {
  readonly name: string;
  readonly address: string;
  readonly agent_port?: number;
  readonly sans?: readonly string[];
  readonly notes?: string;
  readonly use_ipvlan?: boolean;
}

interface Enrollment {
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
