/** Stored requests for tests that work on PostgreSQL alone. */
import { randomUUID } from 'node:crypto';
import type { Sql } from '../../../adapters/postgres/connect.ts';
import { storeRequest } from '../../../adapters/postgres/deployments.ts';
import { deployWorkflowId, mutateWorkflowId, teardownWorkflowId } from '../../../fleet/housekeeping.ts';
import { ROLLOUT_DEFAULTS } from '../../../fleet/limits.ts';
import type { NetworkContext } from '../../../fleet/plan-deploy.ts';
import type { NewOperationRequest } from '../../../fleet/requests.ts';

export const TEST_NETWORK: NetworkContext = {
  driver: 'bridge',
  host_ip: null,
  interfaces: ['lo'],
  detected: null,
  bridge_pool: '10.77.0.0/24',
};

async function store(sql: Sql, workflowIdOf: (id: string) => string, request: NewOperationRequest): Promise<string> {
  const id = randomUUID();
  const by = { username: 'admin', options: ROLLOUT_DEFAULTS, idempotency: null };
  await storeRequest(sql, { id, workflowId: workflowIdOf(id), ...by, ...request });
  return id;
}

export const storeDeploy = (sql: Sql, ini: string, replace = false, network = TEST_NETWORK): Promise<string> =>
  store(sql, deployWorkflowId, { kind: 'deploy', request: { ini_content: ini, replace_fleet: replace }, network });

export const storeTeardown = (sql: Sql, deckyName: string): Promise<string> =>
  store(sql, teardownWorkflowId, { kind: 'teardown', request: { decky_name: deckyName } });

/** Null: the whole fleet; `owed`: what the host owes. */
export const storeTeardownOf = (sql: Sql, hostUuid: string | null, owed = false): Promise<string> =>
  store(sql, deployWorkflowId, { kind: 'teardown', request: { host_uuid: hostUuid, owed } });

export const storeMove = (sql: Sql, hostUuid: string): Promise<string> =>
  store(sql, deployWorkflowId, { kind: 'move', request: { host_uuid: hostUuid } });

export const storeMutate = (
  sql: Sql,
  deckyName: string,
  services: readonly string[] | null = null,
  trigger: 'operator' | 'scheduled' = 'operator',
): Promise<string> =>
  store(sql, mutateWorkflowId, { kind: 'mutate', request: { decky_name: deckyName, services, trigger } });
