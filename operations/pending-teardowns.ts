/** Requests that begin the pending teardowns of a host that is back, where no heartbeat did. */
import { randomUUID } from 'node:crypto';
import { reachable, type Sql } from '../adapters/postgres/connect.ts';
import { storeRequest } from '../adapters/postgres/deployments.ts';
import { DUE } from '../adapters/postgres/pending-work.ts';
import { deployWorkflowId } from '../fleet/housekeeping.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import { RETURN_USER } from '../fleet/requests.ts';
import type { UnfinishedOperation } from './store.ts';

export interface PendingTeardowns {
  /** Hosts with pending teardowns that gave a sign of life within `withinMs`. */
  hostsBack(withinMs: number): Promise<string[]>;
  /** Stores the request of a host's new teardown, to be started; what is due is decided when it is accepted. */
  storeRequest(hostUuid: string): Promise<UnfinishedOperation>;
}

export const createPendingTeardowns = (sql: Sql): PendingTeardowns => ({
  hostsBack: (withinMs) =>
    reachable(async () => {
      const rows = await sql<{ uuid: string }[]>`
        select distinct h.uuid from (${DUE(sql)}) d join swarm_hosts h on h.uuid = d.host_uuid
        where h.status = 'active' and h.last_heartbeat > now() - ${withinMs} * interval '1 millisecond' order by h.uuid`;
      return rows.map((row) => row.uuid);
    }),
  storeRequest: (hostUuid) =>
    reachable(async () => {
      const operationId = randomUUID();
      const workflowId = deployWorkflowId(operationId);
      await storeRequest(sql, {
        id: operationId,
        kind: 'teardown',
        workflowId,
        username: RETURN_USER,
        request: { host_uuid: hostUuid, owed: true },
        options: ROLLOUT_DEFAULTS,
        idempotency: null,
      });
      return { operationId, workflowId, kind: 'teardown', state: 'received' };
    }),
});
