/** Stored requests for tests that work on PostgreSQL alone. */
import { randomUUID } from 'node:crypto';
import type { Sql } from '../../adapters/postgres/connect.ts';
import { storeRequest } from '../../adapters/postgres/deployments.ts';
import { ROLLOUT_DEFAULTS } from '../../fleet/limits.ts';
import type { MutationTrigger } from '../../fleet/mutate-request.ts';
import type { NetworkContext } from '../../fleet/plan-deploy.ts';
import { deployWorkflowId, mutateWorkflowId, teardownWorkflowId } from '../../fleet/workflow-ids.ts';

export const TEST_NETWORK: NetworkContext = {
  driver: 'bridge',
  host_ip: null,
  interfaces: ['lo'],
  detected: null,
  bridge_pool: '10.77.0.0/24',
};

export async function storeDeploy(sql: Sql, ini: string, replace = false): Promise<string> {
  const id = randomUUID();
  await storeRequest(sql, {
    id,
    kind: 'deploy',
    workflowId: deployWorkflowId(id),
    username: 'admin',
    request: { ini_content: ini, replace_fleet: replace },
    options: ROLLOUT_DEFAULTS,
    network: TEST_NETWORK,
    idempotency: null,
  });
  return id;
}

export async function storeTeardown(sql: Sql, deckyName: string): Promise<string> {
  const id = randomUUID();
  await storeRequest(sql, {
    id,
    kind: 'teardown',
    workflowId: teardownWorkflowId(id),
    username: 'admin',
    request: { decky_name: deckyName },
    options: ROLLOUT_DEFAULTS,
    network: null,
    idempotency: null,
  });
  return id;
}

/** Null: the whole fleet; `owed`: what the host owes. */
export async function storeTeardownOf(sql: Sql, hostUuid: string | null, owed = false): Promise<string> {
  const id = randomUUID();
  await storeRequest(sql, {
    id,
    kind: 'teardown',
    workflowId: deployWorkflowId(id),
    username: 'admin',
    request: { host_uuid: hostUuid, owed },
    options: ROLLOUT_DEFAULTS,
    network: null,
    idempotency: null,
  });
  return id;
}

export async function storeMutate(
  sql: Sql,
  deckyName: string,
  services: readonly string[] | null = null,
  trigger: MutationTrigger = 'operator',
): Promise<string> {
  const id = randomUUID();
  await storeRequest(sql, {
    id,
    kind: 'mutate',
    workflowId: mutateWorkflowId(id),
    username: 'admin',
    request: { decky_name: deckyName, services, trigger },
    options: ROLLOUT_DEFAULTS,
    network: null,
    idempotency: null,
  });
  return id;
}
