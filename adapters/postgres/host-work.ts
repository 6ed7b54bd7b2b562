/** What a shard works on: its open rows, and the members of its host's fleet with what is open for them. */
import type { CustomService, DeckyConfig, DesiredDecky, FleetNetwork } from '../../fleet/config.ts';
import type { HostSetMember } from '../../fleet/hosts.ts';
import type { Operation } from '../../fleet/lifecycle.ts';
import { boundedRollout, type RolloutOptions } from '../../fleet/limits.ts';
import type { OpenRow } from '../../fleet/rows.ts';
import type { Queryable } from './connect.ts';
import { readNetwork, stopMark } from './fleet.ts';
import { openRowOf, openRowsOf } from './lifecycle.ts';

export interface HostWork {
  readonly rows: readonly OpenRow[];
  readonly members: readonly HostSetMember[];
  readonly network: FleetNetwork | null;
  readonly options: RolloutOptions;
}

/** Everything that an order for the host is made of. `operationId` is the deployment whose options hold. */
export async function readHostWork(
  sql: Queryable,
  { hostUuid, workflowId, operationId }: { hostUuid: string; workflowId: string; operationId: string },
): Promise<HostWork> {
  const [rows, members, network, [request]] = await Promise.all([
    openRowsOf(sql, workflowId),
    readMembersWithOpen(sql, hostUuid),
    readNetwork(sql),
    sql<{ options: RolloutOptions }[]>`select options from deployments where id = ${operationId}`,
  ]);
  return { rows, members, network, options: boundedRollout(request?.options) };
}

interface MemberRow {
  decky_config: DeckyConfig;
  custom_services: CustomService[];
  established: DesiredDecky | null;
  stopped: boolean;
  workflow_id: string | null;
  operation: Operation | null;
}

async function readMembersWithOpen(sql: Queryable, hostUuid: string): Promise<HostSetMember[]> {
  const rows = await sql<MemberRow[]>`
    select f.decky_config, f.custom_services, f.stopped, l.workflow_id, l.operation,
      -- What the host owes is to go: no order brings it back.
      case when o.decky_name is null then f.established end as established
    from fleet_deckies f left join lateral (${openRowOf(sql)}) l on true
      left join owed_teardowns o on o.host_uuid = f.host_uuid and o.decky_name = f.name
    where f.host_uuid = ${hostUuid} order by l.position, f.name`;
  return rows.map((row) => ({
    desired: { config: row.decky_config, custom_services: row.custom_services, ...stopMark(row) },
    established: row.established && { ...row.established, ...stopMark(row) },
    open: row.workflow_id && row.operation ? { workflowId: row.workflow_id, operation: row.operation } : null,
  }));
}
