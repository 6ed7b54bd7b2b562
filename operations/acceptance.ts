/**
 * Acceptance: one transaction that plans against the fleet as it is now and writes fleet rows, lifecycle rows and tickets.
 * It is the only moment at which a request becomes work, so a crash leaves no rows without their workflow.
 */

import { isUniqueViolation, type Queryable, type Sql } from '../adapters/postgres/connect.ts';
import {
  closeRequest,
  lockRequest,
  markAccepted,
  parseRequest,
  type Refusal,
  type StoredRequest,
} from '../adapters/postgres/deployments.ts';
import { readSnapshot, setPending, upsertDesired, writeNetwork } from '../adapters/postgres/fleet.ts';
import { drainForMove } from '../adapters/postgres/hosts.ts';
import { announceWarnings } from '../adapters/postgres/outbox.ts';
import { forgetPendingReconciles, noteTeardownsByPlacement } from '../adapters/postgres/pending-work.ts';
import { insertRows, type NewRow } from '../adapters/postgres/rows.ts';
import { openTicket } from '../adapters/postgres/tickets.ts';
import type { FleetNetwork } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError, WITHDRAWN } from '../fleet/errors.ts';
import { OPERATION, type RequestKind } from '../fleet/lifecycle.ts';
import { type DeployPlan, type FleetMember, placeDeckies, planDeploy } from '../fleet/plan-deploy.ts';
import {
  acceptMutate,
  acceptReconcile,
  acceptStart,
  acceptStop,
  acceptTeardown,
  stillOpen,
} from './accept-existing.ts';

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
  await acceptOfKind(tx, parseRequest(request));
  return { accepted: true };
}

/** How a request of each kind becomes rows and tickets. */
const ACCEPT: { readonly [K in RequestKind]: (tx: Queryable, stored: StoredRequest<K>) => Promise<void> } = {
  deploy: acceptDeploy,
  teardown: acceptTeardown,
  mutate: acceptMutate,
  reconcile: acceptReconcile,
  stop: acceptStop,
  start: acceptStart,
  move: acceptMove,
};

const acceptOfKind = <K extends RequestKind>(tx: Queryable, stored: StoredRequest<K>): Promise<void> =>
  ACCEPT[stored.kind](tx, stored);

async function acceptDeploy(tx: Queryable, stored: StoredRequest<'deploy'>): Promise<void> {
  const snapshot = await readSnapshot(tx);
  const plan = planDeploy(stored.request, snapshot, stored.network, stored.id);
  const isNetworkMoved = isAnother(snapshot.network, plan.network);
  // Reads where deckies were, so it comes before they are written.
  await noteTeardownsByPlacement(
    tx,
    plan.deckies.map(({ config }) => ({ name: config.name, hostUuid: config.host_uuid })),
  );
  await forgetPendingReconciles(
    tx,
    plan.deckies.map(({ config }) => config.name),
  );
  await Promise.all([
    writeNetwork(tx, plan.network),
    upsertDesired(tx, plan.deckies),
    insertRows(tx, stored, rowsOf(plan)),
    markAccepted(tx, stored.id, { mode: plan.mode, isNetworkMoved, warnings: plan.warnings }),
  ]);
  await announceWarnings(tx, stored.id, plan.told);
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

/**
 * The host drains, and each of its deckies is placed on another host. The host takes them down first, since names and addresses
 * may be the same. If it is unreachable they come up elsewhere all the same, and their teardowns on it are pending. A decky
 * whose teardown is pending already stays where it is.
 */
async function acceptMove(tx: Queryable, stored: StoredRequest<'move'>): Promise<void> {
  const { host_uuid: from } = stored.request;
  const { members, hosts = [] } = await readSnapshot(tx);
  const leaving = members.filter((member) => member.host_uuid === from && !member.teardownPendingOn);
  const busy = leaving.find(({ open }) => open !== null);
  if (busy?.open) throw stillOpen(nameOf(busy), busy.open.operation, busy.open.lifecycle_id);
  if (leaving.length === 0) throw new DeckhandError('NotFound', 'The host has no decky to move.');
  const placements = placeDeckies(
    leaving.map(nameOf),
    new Map(),
    hosts.filter(({ uuid }) => uuid !== from),
  );
  const moved = leaving.map(({ desired }) => {
    const hostUuid = placements.get(desired.config.name) ?? null;
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
  await noteTeardownsByPlacement(tx, rows);
  await upsertDesired(tx, moved);
  await setPending(tx, leaving.map(nameOf));
  await drainForMove(tx, from);
  await insertRows(tx, stored, rows);
  await openTicket(tx, { hostUuid: from, operationId: stored.id, workflowId: stored.workflowId });
  await markAccepted(tx, stored.id, { mode: 'swarm' });
}

const nameOf = (member: FleetMember): string => member.desired.config.name;
