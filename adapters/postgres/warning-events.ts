/** What a deploy was warned of, told to the bus with its acceptance. */
import type { DeployPlan } from '../../fleet/plan-deploy.ts';
import type { Queryable } from './connect.ts';

/** After the rows: an event belongs to the row of the decky that it names. */
export async function announceWarnings(tx: Queryable, deploymentId: string, told: DeployPlan['told']): Promise<void> {
  if (told.length === 0) return;
  const listed = told.map(({ decky, warning }, index) => ({ decky, warning, index }));
  await tx`insert into outbox (message_id, decky_name, type, payload)
    select l.id || ':warning:' || w.index, l.decky_name, 'warning', jsonb_build_object('lifecycle_id', l.id, 'warning', w.warning)
    from jsonb_to_recordset(${tx.json(listed)}) as w(decky text, warning text, index int)
      join decky_lifecycle l on l.decky_name = w.decky and l.deployment_id = ${deploymentId}
    order by w.index on conflict (message_id) do nothing`;
}
