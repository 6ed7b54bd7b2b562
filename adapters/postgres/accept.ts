/**
 * Acceptance: one transaction that plans against the fleet as it is now and writes fleet rows, lifecycle rows and tickets.
 * It is the only moment at which a request becomes work, so a crash leaves no rows without their workflow.
 */
import { randomUUID } from 'node:crypto';
import type { DesiredDecky, FleetNetwork } from '../../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import type { Operation } from '../../fleet/lifecycle.ts';
import { LOCAL_HOST, OPERATION } from '../../fleet/lifecycle.ts';
import { LIMITS } from '../../fleet/limits.ts';
import type { DeployPlan, DeployRequest, NetworkContext } from '../../fleet/plan-deploy.ts';
import { planDeploy } from '../../fleet/plan-deploy.ts';
import { localWorkflowId, shardWorkflowId } from '../../fleet/workflow-ids.ts';
import { acceptMutate } from './accept-mutate.ts';
import type { Queryable, Sql } from './connect.ts';
import { isUniqueViolation } from './connect.ts';
import type { Refusal, StoredRequest } from './deployments.ts';
import { closeRequest, lockRequest } from './deployments.ts';
import { readNetwork, readSnapshot, upsertDesired, writeNetwork } from './fleet.ts';
import { openTicket } from './tickets.ts';

export type AcceptOutcome = { readonly accepted: true } | ({ readonly accepted: false } & Refusal);

/** Accepts or refuses a stored request. Safe to repeat: what was decided once stays decided, with the same ids. */
export async function acceptRequest(sql: Sql, id: string): Promise<AcceptOutcome> {
  try {
    return await sql.begin((tx) => acceptInTransaction(tx, id));
  } catch (error) {
    const refusal = refusalOf(error);
    if (!refusal) throw error;
    await closeRequest(sql, id, 'refused', refusal);
    return { accepted: false, ...refusal };
  }
}

function refusalOf(error: unknown): Refusal | null {
  if (isUniqueViolation(error))
    return {
      code: 'DeckyBusy',
      detail: 'Another operation on one of these deckies was accepted at the same moment; try again when it has ended.',
    };
  return isDeckhandError(error) && !error.retryable ? { code: error.code, detail: error.message } : null;
}

async function acceptInTransaction(tx: Queryable, id: string): Promise<AcceptOutcome> {
  const request = await lockRequest(tx, id);
  if (!request) return { accepted: false, code: 'NotFound', detail: `There is no request ${id}.` };
  if (request.state === 'accepted') return { accepted: true };
  if (request.state === 'refused' && request.refusal) return { accepted: false, ...request.refusal };
  if (request.state !== 'received')
    return {
      accepted: false,
      code: 'Withdrawn',
      detail: 'The request was withdrawn before a worker took it. Nothing was done.',
    };
  // One planner at a time: what it reads is what it changes (gaps B1, B2).
  await tx`select pg_advisory_xact_lock(hashtext(current_schema() || '/fleet'))`;
  if (request.kind === 'teardown') await acceptTeardown(tx, request);
  else if (request.kind === 'mutate') await acceptMutate(tx, request);
  else {
    const snapshot = await readSnapshot(tx);
    await acceptDeploy(
      tx,
      request,
      planDeploy(request.request as DeployRequest, snapshot, request.network as NetworkContext, id),
    );
  }
  return { accepted: true };
}

async function acceptDeploy(tx: Queryable, request: StoredRequest, plan: DeployPlan): Promise<void> {
  const moved = isAnother(await readNetwork(tx), plan.network);
  await writeNetwork(tx, plan.network);
  await upsertDesired(tx, plan.deckies);
  const removed = plan.removed.map(({ desired, host_uuid }) => ({
    desired: { ...desired, config: { ...desired.config, host_uuid } },
    operation: OPERATION.teardown,
  }));
  const wanted = plan.deckies.map((desired) => ({ desired, operation: OPERATION.deploy }));
  const workflows = await insertRows(tx, request, [...removed, ...wanted]);
  for (const [hostUuid, workflowId] of workflows)
    await openTicket(tx, { hostUuid, operationId: request.id, workflowId });
  await tx`update deployments set state = 'accepted', mode = ${plan.mode}, network_moved = ${moved}, warnings = ${tx.json([...plan.warnings])}, decided_at = now() where id = ${request.id}`;
}

const isAnother = (before: FleetNetwork | null, after: FleetNetwork): boolean =>
  before !== null && (['driver', 'interface', 'subnet', 'gateway'] as const).some((key) => before[key] !== after[key]);

/**
 * Removals stand first, so that an address or a name is free before the creation that needs it. Returns the workflow that
 * waits in the lane of each host, in the order of their ids, which is the order in which lanes are locked.
 */
async function insertRows(
  tx: Queryable,
  request: StoredRequest,
  work: readonly { desired: DesiredDecky; operation: Operation }[],
): Promise<ReadonlyMap<string, string>> {
  const workflows = new Map<string, string>();
  let local = 0;
  const workflowOf = (host: string | null): string => {
    workflows.set(host ?? LOCAL_HOST, host === null ? request.workflowId : shardWorkflowId(request.id, host));
    return host === null
      ? localWorkflowId(request.id, Math.floor(local++ / LIMITS.localChunk) + 1)
      : shardWorkflowId(request.id, host);
  };
  const rows = work.map(({ desired, operation }, position) => ({
    id: randomUUID(),
    decky_name: desired.config.name,
    host_uuid: desired.config.host_uuid,
    operation,
    deployment_id: request.id,
    workflow_id: workflowOf(desired.config.host_uuid),
    position,
  }));
  await tx`insert into decky_lifecycle (id, decky_name, host_uuid, operation, deployment_id, workflow_id, position)
    select * from jsonb_to_recordset(${tx.json(rows)}) as r (id text, decky_name text, host_uuid text, operation text, deployment_id text, workflow_id text, position integer)`;
  return new Map([...workflows].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function acceptTeardown(tx: Queryable, request: StoredRequest): Promise<void> {
  const { decky_name: name } = request.request as { decky_name: string };
  const [member] = await tx<{ host_uuid: string; open: string | null; operation: Operation | null }[]>`
    select f.host_uuid, l.id as open, l.operation from fleet_deckies f
    left join decky_lifecycle l on l.decky_name = f.name and l.status in ('pending', 'running') where f.name = ${name}`;
  if (!member) throw new DeckhandError('NotFound', `Decky ${name} not found`);
  if (member.open)
    throw new DeckhandError(
      'DeckyBusy',
      `decky '${name}' has an open ${member.operation} (lifecycle id ${member.open}); wait until it has ended`,
    );
  await tx`insert into decky_lifecycle ${tx({
    id: request.id,
    decky_name: name,
    host_uuid: member.host_uuid === LOCAL_HOST ? null : member.host_uuid,
    operation: OPERATION.teardown,
    deployment_id: request.id,
    workflow_id: request.workflowId,
    position: 0,
  })}`;
  await openTicket(tx, { hostUuid: member.host_uuid, operationId: request.id, workflowId: request.workflowId });
  await tx`update deployments set state = 'accepted', decided_at = now() where id = ${request.id}`;
}
