/** Acceptance of what brings a fleet back to what it should be, and of stopping and starting a decky. */

import { stillOpen } from '../adapters/postgres/busy.ts';
import type { Queryable } from '../adapters/postgres/connect.ts';
import type { StoredRequest } from '../adapters/postgres/deployments.ts';
import { mendable } from '../adapters/postgres/drift.ts';
import { owedStill, RETURNED } from '../adapters/postgres/pending-work.ts';
import { insertRows } from '../adapters/postgres/rows.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { LOCAL_HOST, OPERATION, type Operation } from '../fleet/lifecycle.ts';
import type { PowerRequest, ReconcileRequest } from '../fleet/requests.ts';

const hostOf = (key: string): string | null => (key === LOCAL_HOST ? null : key);

const accepted = (tx: Queryable, request: StoredRequest) => tx`
  update deployments set state = 'accepted', decided_at = now() where id = ${request.id}`;

/** A row for each decky that drifts, and for each that nobody wants; none where all was mended meanwhile. */
export async function acceptReconcile(tx: Queryable, request: StoredRequest): Promise<void> {
  const asked = request.request as ReconcileRequest;
  if (asked.returned) return await acceptReturned(tx, request, asked);
  const found = await mendable(tx, asked);
  const row = (operation: Operation) => (one: { decky_name: string; host_key: string }) => ({
    name: one.decky_name,
    hostUuid: hostOf(one.host_key),
    operation,
  });
  await insertRows(tx, request, [
    ...found.filter((one) => one.orphan).map(row(OPERATION.teardown)),
    ...found.filter((one) => !one.orphan).map(row(OPERATION.deploy)),
  ]);
  await accepted(tx, request);
}

/** A row for each decky that a returned host has otherwise, which says why. */
async function acceptReturned(
  tx: Queryable,
  request: StoredRequest,
  { host, deckies }: ReconcileRequest,
): Promise<void> {
  const found = await tx<{ decky_name: string; why: string; host_name: string }[]>`
    select r.decky_name, r.why, h.name as host_name from (${RETURNED(tx)}) r join swarm_hosts h on h.uuid = r.host_uuid
    where r.host_uuid = ${host} and r.decky_name = any(${[...(deckies ?? [])]}::text[]) order by r.decky_name`;
  if (found.length === 0) throw new DeckhandError('NotFound', 'Nothing has to be put right there (any more).');
  await insertRows(
    tx,
    request,
    found.map((one) => ({ name: one.decky_name, hostUuid: host, operation: OPERATION.deploy })),
  );
  const reasons = found.map(
    (one) =>
      `host ${one.host_name} is back and has decky '${one.decky_name}' otherwise than the fleet (${one.why}); it is put right`,
  );
  await tx`update decky_lifecycle l set step = r.reason
    from unnest(${found.map((one) => one.decky_name)}::text[], ${reasons}::text[]) as r (name, reason)
    where l.deployment_id = ${request.id} and l.decky_name = r.name`;
  await tx`update deployments set warnings = ${tx.json(reasons)} where id = ${request.id}`;
  await accepted(tx, request);
}

interface Member {
  readonly host_uuid: string;
  readonly host_name: string | null;
  readonly fenced: boolean | null;
  readonly established: boolean;
  readonly owed: boolean;
  readonly open: string | null;
  readonly operation: Operation | null;
}

/** The wish is noted on the decky; its row brings the containers to it, as a deploy of this decky alone. */
export async function acceptPower(tx: Queryable, request: StoredRequest, stopped: boolean): Promise<void> {
  const { decky_name: name } = request.request as PowerRequest;
  const member = await switchable(tx, name, stopped);
  await tx`update fleet_deckies set stopped = ${stopped}, updated_at = now() where name = ${name}`;
  await insertRows(tx, request, [{ name, hostUuid: hostOf(member.host_uuid), operation: OPERATION.deploy }]);
  await accepted(tx, request);
}

async function switchable(tx: Queryable, name: string, stopped: boolean): Promise<Member> {
  const [member] = await tx<Member[]>`
    select f.host_uuid, h.name as host_name, h.fenced, f.established is not null as established, l.id as open, l.operation,
      exists (select from owed_teardowns o where o.host_uuid = f.host_uuid and o.decky_name = f.name) as owed
    from fleet_deckies f left join swarm_hosts h on h.uuid = f.host_uuid
      left join decky_lifecycle l on l.decky_name = f.name and l.status in ('pending', 'running') where f.name = ${name}`;
  if (!member) throw new DeckhandError('NotFound', `Decky ${name} not found`);
  if (member.open) throw stillOpen(name, member.operation, member.open);
  if (member.owed) throw owedStill(name);
  if (!member.established)
    throw new DeckhandError(
      'InvalidDecky',
      `decky '${name}' never came up, so there is nothing to stop or start; deploy it.`,
    );
  if (stopped && member.host_uuid !== LOCAL_HOST && member.fenced !== true)
    throw new DeckhandError(
      'HostCannot',
      `host ${member.host_name ?? member.host_uuid} has an agent that can't keep a decky stopped (DECNET's); take '${name}' down instead.`,
    );
  return member;
}
