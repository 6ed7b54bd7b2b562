/** Acceptance of a move: the host drains, each of its deckies is placed on another one, and owed by the one that it leaves. */

import { stillOpen } from '../adapters/postgres/busy.ts';
import type { Queryable } from '../adapters/postgres/connect.ts';
import type { StoredRequest } from '../adapters/postgres/deployments.ts';
import { readSnapshot, upsertDesired } from '../adapters/postgres/fleet.ts';
import { insertRows } from '../adapters/postgres/insert-rows.ts';
import { oweByPlacement } from '../adapters/postgres/owed-teardowns.ts';
import { openTicket } from '../adapters/postgres/tickets.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { DECKY_STATE, OPERATION } from '../fleet/lifecycle.ts';
import { type FleetMember, placeDeckies } from '../fleet/plan-deploy.ts';
import type { MoveRequest } from '../fleet/requests.ts';

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
