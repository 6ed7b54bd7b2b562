/**
 * The questions that the command puts to a master. Their types are those of the API's own document.
 *
 * 1. names for what the API takes and answers
 * 2. `Master`: deployments, the fleet, drift
 * 3. `Hosts`: `/api/v1/swarm`
 */
import { LIMITS } from '../fleet/limits.ts';
import type { components, operations } from './api.d.ts';
import type { ApiClient } from './api-client.ts';
import { CliError, EXIT } from './errors.ts';
import { harmless } from './text.ts';

type Schemas = components['schemas'];
/** What an operation answers with this status. */
type Answer<Operation extends keyof operations, Status extends number> = operations[Operation] extends {
  responses: Record<Status, { content: { 'application/json': infer Body } }>;
}
  ? Body
  : never;

export type DeploymentSummary = Schemas['Deployment'];
export type DeploymentDetail = Schemas['DeploymentDetail'];
/** A lifecycle row as the master answers it. Asked for with its deployment, it also says what is being done with it right now. */
export type RowView = Schemas['LifecycleRow'] & Partial<DeploymentDetail['rows'][number]>;
export type FleetOverview = Schemas['Fleet'];
export type FleetDecky = FleetOverview['deckies'][number];
export type DeployRequest = Schemas['DeployRequest'];
type ReconcileRequest = Schemas['ReconcileRequest'];
/** Either answer: there was something to do (202), or nothing (200). */
export type ReconcileAnswer = Partial<Answer<'post_reconcile', 202>> & Answer<'post_reconcile', 200>;
export type DriftOverview = Answer<'get_drift', 200>;
export type SilentEngine = Schemas['SilentEngine'];
export type HostView = Schemas['Host'];
type Enrollment = Answer<'post_swarm_enrollments', 201>;
type EnrollmentRequest = operations['post_swarm_enrollments']['requestBody']['content']['application/json'];

/** null where the master does not name it. */
export type Accepted = Answer<'post_deckies_deploy', 202> & { readonly deployment_id: string | null };
type MutateAccepted = Answer<'post_deckies_decky_name_mutate', 202> & { readonly deployment_id: string };
export type Cancelled = Answer<'post_deployments_deployment_id_cancel', 202>;

export interface Master {
  /** Whether it has answered anything yet. */
  readonly heard: boolean;
  /** The same key with the same body is the same deploy, however often it is sent. */
  deploy(body: DeployRequest, idempotencyKey: string): Promise<Accepted>;
  /** Without services they are drawn; the same key with the same services is the same mutation. */
  mutate(name: string, services: readonly string[] | null, idempotencyKey: string): Promise<MutateAccepted>;
  /** `30m`, `5d`…; null: never. */
  setMutateInterval(name: string, interval: string | null): Promise<void>;
  drift(filter: { readonly decky?: string; readonly host?: string }): Promise<DriftOverview>;
  reconcile(body: ReconcileRequest): Promise<ReconcileAnswer>;
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
  lifecycle(ids: readonly string[]): Promise<readonly RowView[]>;
}

export function masterOf(client: ApiClient): Master {
  return {
    get heard() {
      return client.heard;
    },
    async deploy(body, idempotencyKey) {
      const params = { header: { 'idempotency-key': idempotencyKey } };
      const answer = await client.call((api) => api.POST('/api/v1/deckies/deploy', { params, body }));
      return { ...answer.body, deployment_id: answer.headers.get('deckhand-deployment-id') };
    },
    async mutate(name, services, idempotencyKey) {
      const params = { path: { decky_name: name }, header: { 'idempotency-key': idempotencyKey } };
      const body = services === null ? {} : { services: [...services] };
      const answer = await client.call((api) => api.POST('/api/v1/deckies/{decky_name}/mutate', { params, body }));
      // An older master does not name it: there the row has its id.
      const [row = ''] = answer.body.lifecycle_ids;
      return { ...answer.body, deployment_id: answer.headers.get('deckhand-deployment-id') ?? row };
    },
    async setMutateInterval(name, interval) {
      const params = { path: { decky_name: name } };
      const body = { mutate_interval: interval };
      await client.call((api) => api.PUT('/api/v1/deckies/{decky_name}/mutate-interval', { params, body }));
    },
    drift: async (query) => (await client.call((api) => api.GET('/api/v1/drift', { params: { query } }))).body,
    reconcile: async (body) => (await client.call((api) => api.POST('/api/v1/reconcile', { body }))).body,
    async power(name, kind) {
      const params = { path: { decky_name: name } };
      const answer = await client.call((api) => api.POST(`/api/v1/deckies/{decky_name}/${kind}`, { params }));
      return { ...answer.body, deployment_id: answer.headers.get('deckhand-deployment-id') ?? '' };
    },
    async setReconcileInterval(interval) {
      const body = { reconcile_interval: interval };
      await client.call((api) => api.PUT('/api/v1/config/reconcile-interval', { body }));
    },
    async deployments(limit) {
      const params = { query: { limit } };
      return (await client.call((api) => api.GET('/api/v1/deployments', { params }))).body.deployments;
    },
    async deployment(id) {
      const params = { path: { deployment_id: id } };
      return (await client.call((api) => api.GET('/api/v1/deployments/{deployment_id}', { params }))).body;
    },
    async cancel(id) {
      const params = { path: { deployment_id: id } };
      return (await client.call((api) => api.POST('/api/v1/deployments/{deployment_id}/cancel', { params }))).body;
    },
    fleet: async () => (await client.call((api) => api.GET('/api/v1/fleet'))).body,
    async teardown(name) {
      const params = { path: { decky_name: name } };
      const answer = await client.call((api) => api.DELETE('/api/v1/deckies/{decky_name}', { params }));
      return { down: answer.status === 204, lifecycleIds: answer.body?.lifecycle_ids ?? [] };
    },
    async teardownAll(hostLostAfter) {
      const params = { query: hostLostAfter === undefined ? {} : { host_lost_after: hostLostAfter } };
      return (await client.call((api) => api.DELETE('/api/v1/deckies', { params }))).body.lifecycle_ids;
    },
    async lifecycle(ids) {
      const rows: RowView[] = [];
      for (let at = 0; at < ids.length; at += LIMITS.lifecycleIdsPerQuery) {
        const params = { query: { ids: ids.slice(at, at + LIMITS.lifecycleIdsPerQuery) } };
        rows.push(...(await client.call((api) => api.GET('/api/v1/deckies/lifecycle', { params }))).body.rows);
      }
      return rows;
    },
  };
}

export interface Hosts {
  enroll(body: EnrollmentRequest): Promise<Enrollment>;
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

export function hostsOf(client: ApiClient): Hosts {
  const list = async () => (await client.call((api) => api.GET('/api/v1/swarm/hosts'))).body;
  return {
    list,
    enroll: async (body) => (await client.call((api) => api.POST('/api/v1/swarm/enrollments', { body }))).body,
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
    async change(uuid, body) {
      const params = { path: { uuid } };
      await client.call((api) => api.PATCH('/api/v1/swarm/hosts/{uuid}', { params, body }));
    },
    async teardown(uuid) {
      const params = { path: { uuid } };
      const body = { decky_id: null };
      const answer = await client.call((api) => api.POST('/api/v1/swarm/hosts/{uuid}/teardown', { params, body }));
      return answer.body.lifecycle_ids ?? null;
    },
    async move(uuid) {
      const params = { path: { uuid } };
      const { body, headers } = await client.call((api) => api.POST('/api/v1/swarm/hosts/{uuid}/move', { params }));
      return { deploymentId: headers.get('deckhand-deployment-id'), ids: body.lifecycle_ids };
    },
    async remove(uuid, selfDestruct) {
      const params = { path: { uuid }, query: { self_destruct: selfDestruct ? 'true' : 'false' } as const };
      await client.call((api) => api.DELETE('/api/v1/swarm/hosts/{uuid}', { params }));
    },
  };
}
