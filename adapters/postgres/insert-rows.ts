/** The lifecycle rows of an accepted request, each with the workflow that owns it, a ticket for each host, and what is shown of deckies that go. */
import { randomUUID } from 'node:crypto';
import { localWorkflowId, shardWorkflowId } from '../../fleet/housekeeping.ts';
import { LOCAL_HOST, OPERATION, type Operation } from '../../fleet/lifecycle.ts';
import { LIMITS } from '../../fleet/limits.ts';
import type { Queryable } from './connect.ts';
import type { StoredRequest } from './deployments.ts';
import { showGoing } from './owed-teardowns.ts';
import { openTickets } from './tickets.ts';

export interface NewRow {
  readonly name: string;
  /** Null: the master's own engine. */
  readonly hostUuid: string | null;
  readonly operation: Operation;
}

/**
 * Removals have to stand first, so that an address or a name is free before the creation that needs it.
 */
export async function insertRows(tx: Queryable, request: StoredRequest, work: readonly NewRow[]): Promise<void> {
  const workflows = new Map<string, string>();
  let local = 0;
  const workflowOf = (host: string | null): string => {
    workflows.set(host ?? LOCAL_HOST, host === null ? request.workflowId : shardWorkflowId(request.id, host));
    return host === null
      ? localWorkflowId(request.id, Math.floor(local++ / LIMITS.localChunk) + 1)
      : shardWorkflowId(request.id, host);
  };
  const rows = work.map(({ name, hostUuid, operation }, position) => ({
    id: randomUUID(),
    decky_name: name,
    host_uuid: hostUuid,
    operation,
    deployment_id: request.id,
    workflow_id: workflowOf(hostUuid),
    position,
  }));
  const tickets = [...workflows].map(([hostUuid, workflowId]) => ({ hostUuid, operationId: request.id, workflowId }));
  await Promise.all([
    tx`insert into decky_lifecycle (id, decky_name, host_uuid, operation, deployment_id, workflow_id, position)
      select * from jsonb_to_recordset(${tx.json(rows)}) as r (id text, decky_name text, host_uuid text, operation text, deployment_id text, workflow_id text, position integer)`,
    openTickets(tx, tickets),
    showGoing(
      tx,
      work.filter(({ operation }) => operation === OPERATION.teardown),
    ),
  ]);
}
