/** Clean-ups that the master's own engine owes: they did not work after a failure, and are done once what was in the way has passed. */
import { type DeckyState, LOCAL_HOST } from '../../fleet/lifecycle.ts';
import type { Queryable } from './connect.ts';

/** As many as one look hands on. */
const MOST = 100;

export async function oweCleanUp(sql: Queryable, deckyName: string): Promise<void> {
  await sql`insert into owed_clean_ups (decky_name) values (${deckyName}) on conflict do nothing`;
}

/** While a row of a decky is open, that operation does as it says with it. */
const HAS_OPEN_ROW = (sql: Queryable) => sql`exists (select from decky_lifecycle l
  where l.decky_name = o.decky_name and l.status in ('pending', 'running'))`;

/** Oldest first. One that left the fleet, or this engine, is forgotten: what is there of it is an orphan, which drift names. */
export async function owedCleanUps(sql: Queryable): Promise<string[]> {
  await sql`delete from owed_clean_ups o where not ${HAS_OPEN_ROW(sql)}
    and not exists (select from fleet_deckies f where f.name = o.decky_name and f.host_uuid = ${LOCAL_HOST})`;
  const rows = await sql<{ name: string }[]>`
    select decky_name as name from owed_clean_ups o where not ${HAS_OPEN_ROW(sql)} order by since, decky_name limit ${MOST}`;
  return rows.map(({ name }) => name);
}

export async function owesCleanUp(sql: Queryable, deckyName: string): Promise<boolean> {
  const rows = await sql`select from owed_clean_ups o where decky_name = ${deckyName} and not ${HAS_OPEN_ROW(sql)}`;
  return rows.length > 0;
}

/** It was done, and `seen` is what the engine has of the decky now. */
export async function cleanedUp(sql: Queryable, deckyName: string, seen: DeckyState): Promise<void> {
  await sql`
    with o as (delete from owed_clean_ups where decky_name = ${deckyName} returning decky_name)
    update fleet_deckies f set state = ${seen}, updated_at = now() from o
    where f.name = o.decky_name and f.host_uuid = ${LOCAL_HOST} and f.state in ('failed', 'degraded') and not ${HAS_OPEN_ROW(sql)}`;
}
