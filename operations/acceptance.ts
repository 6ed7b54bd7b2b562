/**
 * Acceptance: one transaction that plans against the fleet as it is now and writes fleet rows, lifecycle rows and tickets.
 * It is the only moment at which a request becomes work, so a crash leaves no rows without their workflow.
 */

import { stillOpen } from '../adapters/postgres/busy.ts';
import { isUniqueViolation, type Queryable, type Sql } from '../adapters/postgres/connect.ts';
import { closeRequest, lockRequest, type Refusal, type StoredRequest } from '../adapters/postgres/deployments.ts';
import { readSnapshot, upsertDesired, writeNetwork } from '../adapters/postgres/fleet.ts';
import { announceWarnings } from '../adapters/postgres/outbox.ts';
import { forgetReconciles, oweByPlacement } from '../adapters/postgres/pending-work.ts';
import { insertRows, type NewRow } from '../adapters/postgres/rows.ts';
import { openTicket } from '../adapters/postgres/tickets.ts';
import type { FleetNetwork } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError, WITHDRAWN } from '../fleet/errors.ts';
import { DECKY_STATE, OPERATION } from '../fleet/lifecycle.ts';
import {
  type DeployPlan,
  type DeployRequest,
  type FleetMember,
  type NetworkContext,
  placeDeckies,
  planDeploy,
} from '../fleet/plan-deploy.ts';
import type { MoveRequest } from '../fleet/requests.ts';
import { acceptPower, acceptReconcile } from './accept-converge.ts';
import { acceptMutate } from './accept-mutate.ts';
import { acceptTeardown } from './accept-teardown.ts';

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

/** Statements that don't need each other's answers are sent together: they run in the order in which they stand. */
async function acceptInTransaction(tx: Queryable, id: string): Promise<AcceptOutcome> {
  // One planner at a time: what it reads is what it changes (gaps B1, B2).
  const [request] = await Promise.all([
    lockRequest(tx, id),
    tx`select pg_advisory_xact_lock(hashtext(current_schema() || '/fleet'))`,
  ]);
  if (!request) return { accepted: false, code: 'NotFound', detail: `There is no request ${id}.` };
  if (request.state === 'accepted') return { accepted: true };
  if (request.state === 'refused' && request.refusal) return { accepted: false, ...request.refusal };
  if (request.state !== 'received') return { accepted: false, code: 'Withdrawn', detail: WITHDRAWN };
  if (request.kind === 'teardown') await acceptTeardown(tx, request);
  else if (request.kind === 'mutate') await acceptMutate(tx, request);
  else if (request.kind === 'move') await acceptMove(tx, request);
  else if (request.kind === 'reconcile') await acceptReconcile(tx, request);
  else if (request.kind === 'stop' || request.kind === 'start') await acceptPower(tx, request, request.kind === 'stop');
  else await acceptDeploy(tx, request);
  return { accepted: true };
}

async function acceptDeploy(tx: Queryable, request: StoredRequest): Promise<void> {
  const snapshot = await readSnapshot(tx);
  const plan = planDeploy(request.request as DeployRequest, snapshot, request.network as NetworkContext, request.id);
  const moved = isAnother(snapshot.network, plan.network);
  // Reads where deckies were, so it comes before they are written.
  await oweByPlacement(
    tx,
    plan.deckies.map(({ config }) => ({ name: config.name, hostUuid: config.host_uuid })),
  );
  await forgetReconciles(
    tx,
    plan.deckies.map(({ config }) => config.name),
  );
  await Promise.all([
    writeNetwork(tx, plan.network),
    upsertDesired(tx, plan.deckies),
    insertRows(tx, request, rowsOf(plan)),
    tx`update deployments set state = 'accepted', mode = ${plan.mode}, network_moved = ${moved}, warnings = ${tx.json([...plan.warnings])}, decided_at = now() where id = ${request.id}`,
  ]);
  await announceWarnings(tx, request.id, plan.told);
}

const rowsOf = ({ removed, deckies }: DeployPlan): NewRow[] => [
  ...removed.map(({ desired, host_uuid }) => ({
    name: desired.config.name,
    hostUuid: host_uuid,
    operation: OPERATION.teardown,
  })),
  ...deckies.map(({ config }) => ({ name: config.name, hostUuid: config.host_uuid, operation: OPERATION.deploy })),
];

const isAnother = (before: FleetNetwork | null, after: FleetNetwork): boolean =>
  before !== null && (['driver', 'interface', 'subnet', 'gateway'] as const).some((key) => before[key] !== after[key]);

/** Acceptance of a move: the host drains, each of its deckies is placed on another one, and owed by the one that it leaves. */

/**
 * Runs in the transaction of acceptance, under the fleet's lock. The host takes them down first, since names and addresses may be
 * the same; where it can't be reached they come up elsewhere all the same, and it owes the teardown. What is on its way out
 * already stays where it is.
 */
export async function acceptMove(tx: Queryable, request: StoredRequest): Promise<void> {
  const { host_uuid: from } = request.request as MoveRequest;
  const { members, hosts = [] } = await readSnapshot(tx);
  const leaving = members.filter((member) => member.host_uuid === from && !member.owedBy);
  const busy = leaving.find(({ open }) => open !== null);
  if (busy?.open) throw stillOpen(nameOf(busy), busy.open.operation, busy.open.lifecycle_id);
  if (leaving.length === 0) throw new DeckhandError('NotFound', 'The host has no decky to move.');
  const places = placeDeckies(
    leaving.map(nameOf),
    new Map(),
    hosts.filter(({ uuid }) => uuid !== from),
  );
  const moved = leaving.map(({ desired }) => {
    const hostUuid = places.get(desired.config.name) ?? null;
    if (hostUuid === null)
      throw new DeckhandError(
        'NoHost',
        'No other host takes new deckies: each is silent or draining. Enrol one, or undo a drain; or drain without --move.',
      );
    return { ...desired, config: { ...desired.config, host_uuid: hostUuid } };
  });
  const rows = moved.map(({ config }) => ({
    name: config.name,
    hostUuid: config.host_uuid,
    operation: OPERATION.deploy,
  }));
  await oweByPlacement(tx, rows);
  await upsertDesired(tx, moved);
  await tx`update fleet_deckies set state = ${DECKY_STATE.pending} where name = any(${leaving.map(nameOf)})`;
  // Its next report is taken in wholly, which begins what it owes.
  await tx`update swarm_hosts set draining = true, report_hash = null where uuid = ${from}`;
  await insertRows(tx, request, rows);
  await openTicket(tx, { hostUuid: from, operationId: request.id, workflowId: request.workflowId });
  await tx`update deployments set state = 'accepted', mode = 'swarm', decided_at = now() where id = ${request.id}`;
}

const nameOf = (member: FleetMember): string => member.desired.config.name;
