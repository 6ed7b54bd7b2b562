/** What a mutation tells the bus beyond its row's transitions. */
import type { Queryable } from './connect.ts';

/** The event of a mutation that succeeded (docs/wire.md#events, gap C12); before what was established is written over. */
export async function announceMutations(tx: Queryable, lifecycleIds: readonly string[]): Promise<void> {
  await tx`insert into outbox (message_id, decky_name, type, payload)
    select l.id || ':mutation', l.decky_name, 'mutation',
      jsonb_build_object('decky', l.decky_name, 'old_services', f.established->'config'->'services', 'new_services', f.services,
        'trigger', d.request->>'trigger')
        || case when d.request->>'trigger' = 'operator' then jsonb_build_object('actor', d.username) else '{}'::jsonb end
    from decky_lifecycle l join fleet_deckies f on f.name = l.decky_name join deployments d on d.id = l.deployment_id
    where l.id = any(${[...lifecycleIds]}::text[]) on conflict (message_id) do nothing`;
}
