/** Acceptance of teardowns: of one decky, of all that a host has, of the whole fleet, and of what a host owes. */

import { stillOpen } from '../adapters/postgres/busy.ts';
import type { Queryable } from '../adapters/postgres/connect.ts';
import type { StoredRequest } from '../adapters/postgres/deployments.ts';
import { DUE, showGoing } from '../adapters/postgres/pending-work.ts';
import { insertRows } from '../adapters/postgres/rows.ts';
import { openTicket } from '../adapters/postgres/tickets.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { LOCAL_HOST, OPERATION, type Operation } from '../fleet/lifecycle.ts';
import type { SeveralTeardown } from '../fleet/requests.ts';

interface Member {
  readonly name: string;
  readonly host_uuid: string;
  readonly open: string | null;
  readonly operation: Operation | null;
}

/** Runs in the transaction of acceptance, under the fleet's lock. */
export async function acceptTeardown(tx: Queryable, request: StoredRequest): Promise<void> {
  const asked = request.request as { decky_name: string } | SeveralTeardown;
  if ('decky_name' in asked) await acceptOne(tx, request, asked.decky_name);
  else await acceptSeveral(tx, request, asked);
  await tx`update deployments set state = 'accepted', decided_at = now() where id = ${request.id}`;
}

const busy = ({ name, operation, open }: Member): DeckhandError => stillOpen(name, operation, open);

async function acceptOne(tx: Queryable, request: StoredRequest, name: string): Promise<void> {
  const [member] = await tx<Member[]>`
    select f.name, f.host_uuid, l.id as open, l.operation from fleet_deckies f
    left join decky_lifecycle l on l.decky_name = f.name and l.status in ('pending', 'running') where f.name = ${name}`;
  if (!member) throw new DeckhandError('NotFound', `Decky ${name} not found`);
  if (member.open) throw busy(member);
  await tx`insert into decky_lifecycle ${tx({
    id: request.id,
    decky_name: name,
    host_uuid: member.host_uuid === LOCAL_HOST ? null : member.host_uuid,
    operation: OPERATION.teardown,
    deployment_id: request.id,
    workflow_id: request.workflowId,
    position: 0,
  })}`;
  await showGoing(tx, [{ name, hostUuid: member.host_uuid === LOCAL_HOST ? null : member.host_uuid }]);
  await openTicket(tx, { hostUuid: member.host_uuid, operationId: request.id, workflowId: request.workflowId });
}

/** A row for each; one whose teardown is under way has its row already. */
async function acceptSeveral(tx: Queryable, request: StoredRequest, asked: SeveralTeardown): Promise<void> {
  const members = asked.owed ? await due(tx, asked.host_uuid) : await all(tx, asked.host_uuid);
  if (members.length === 0) throw new DeckhandError('NotFound', 'There is no decky to take down (any more).');
  const other = members.find(({ operation }) => operation !== null && operation !== OPERATION.teardown);
  if (other) throw busy(other);
  const rows = members
    .filter(({ open }) => open === null)
    .map(({ name, host_uuid }) => ({
      name,
      hostUuid: host_uuid === LOCAL_HOST ? null : host_uuid,
      operation: OPERATION.teardown,
    }));
  await insertRows(tx, request, rows);
}

const all = (tx: Queryable, hostUuid: string | null): Promise<Member[]> =>
  tx<Member[]>`
    select f.name, f.host_uuid, l.id as open, l.operation from fleet_deckies f
    left join decky_lifecycle l on l.decky_name = f.name and l.status in ('pending', 'running')
    where (${hostUuid}::text is null or f.host_uuid = ${hostUuid}) order by f.name`;

const due = (tx: Queryable, hostUuid: string | null): Promise<Member[]> =>
  tx<Member[]>`
    select d.decky_name as name, d.host_uuid, null as open, null as operation from (${DUE(tx)}) d
    where d.host_uuid = ${hostUuid} order by d.decky_name`;
