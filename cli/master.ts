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

export interface MutateAccepted {
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
