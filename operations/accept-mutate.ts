/** Acceptance of a mutation: the new services become what the decky should be, and its host gets a ticket. */

import { stillOpen } from '../adapters/postgres/busy.ts';
import type { Queryable } from '../adapters/postgres/connect.ts';
import type { StoredRequest } from '../adapters/postgres/deployments.ts';
import { owedStill } from '../adapters/postgres/pending-work.ts';
import { openTicket } from '../adapters/postgres/tickets.ts';
import type { CustomService, DeckyConfig } from '../fleet/config.ts';
import { drawMutation, namedMutation, seededRandom } from '../fleet/draw.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { LOCAL_HOST, OPERATION, type Operation } from '../fleet/lifecycle.ts';
import type { NamedDecky } from '../fleet/names.ts';
import type { MutateRequest } from '../fleet/requests.ts';
import { portWarnings } from '../fleet/warnings.ts';

interface Member {
  readonly host_uuid: string;
  readonly config: DeckyConfig;
  readonly custom_services: CustomService[];
  readonly established: boolean;
  readonly stopped: boolean;
  /** Its host was lost before it was down. */
  readonly owed: boolean;
  readonly open: string | null;
  readonly operation: Operation | null;
}

/** Runs in the transaction of acceptance, under the fleet's lock. What was established stays beside it, for the way back. */
export async function acceptMutate(tx: Queryable, request: StoredRequest): Promise<void> {
  const { decky_name: name, services } = request.request as MutateRequest;
  const member = await mutable(tx, name);
  const decky = { config: member.config, custom_services: member.custom_services };
  const others = await tx<NamedDecky[]>`select name, services from fleet_deckies where name <> ${name}`;
  const wanted = services
    ? namedMutation(decky, services, others)
    : drawMutation(decky, others, seededRandom(request.id));
  const config: DeckyConfig = { ...member.config, services: wanted, last_mutated: Date.now() / 1_000 };
  await tx`update fleet_deckies set services = ${tx.json([...wanted])}, decky_config = ${tx.json(JSON.parse(JSON.stringify(config)))},
    updated_at = now() where name = ${name}`;
  await tx`insert into decky_lifecycle ${tx({
    id: request.id,
    decky_name: name,
    host_uuid: member.host_uuid === LOCAL_HOST ? null : member.host_uuid,
    operation: OPERATION.mutate,
    deployment_id: request.id,
    workflow_id: request.workflowId,
    position: 0,
  })}`;
  await openTicket(tx, { hostUuid: member.host_uuid, operationId: request.id, workflowId: request.workflowId });
  const warnings = portWarnings([{ ...decky, config }]);
  await tx`update deployments set state = 'accepted', warnings = ${tx.json([...warnings])}, decided_at = now() where id = ${request.id}`;
}

/** The decky, where it can be mutated: it is there, came up once, and nothing is open for it. */
async function mutable(tx: Queryable, name: string): Promise<Member> {
  const [member] = await tx<Member[]>`
    select f.host_uuid, f.decky_config as config, f.custom_services, f.established is not null as established, f.stopped, l.id as open, l.operation,
      exists (select from owed_teardowns o where o.host_uuid = f.host_uuid and o.decky_name = f.name) as owed
    from fleet_deckies f left join decky_lifecycle l on l.decky_name = f.name and l.status in ('pending', 'running') where f.name = ${name}`;
  if (!member) {
    const [some] = await tx`select 1 from fleet_deckies limit 1`;
    throw new DeckhandError('NotFound', some ? `Decky ${name} not found` : 'No active deployment');
  }
  if (member.open) throw stillOpen(name, member.operation, member.open);
  if (member.owed) throw owedStill(name);
  if (!member.established)
    throw new DeckhandError('InvalidDecky', `decky '${name}' never came up, so there is nothing to mutate; deploy it.`);
  if (member.stopped)
    throw new DeckhandError('DeckyStopped', `decky '${name}' is stopped; start it before it is mutated.`);
  return member;
}
