/** Which certificate of the master its hosts were told to pin. */
import type { Sql } from './connect.ts';

const KEY = 'master_fingerprint';

/**
 * Remembers the master's certificate. Where it is another than before, all hosts are asked to renew theirs, since they
 * learn the new pin with the answer. One statement: neither happens without the other. True where it changed.
 */
export async function rememberMaster(sql: Sql, fingerprint: string): Promise<boolean> {
  const [row] = await sql<{ changed: boolean }[]>`
    with known as (select value from settings where key = ${KEY}),
    kept as (
      insert into settings (key, value) values (${KEY}, to_jsonb(${fingerprint}::text))
      on conflict (key) do update set value = excluded.value, updated_at = now()
      where settings.value <> excluded.value),
    asked as (
      update swarm_hosts set renew_requested = true
      where exists (select from known where value <> to_jsonb(${fingerprint}::text)))
    select exists (select from known where value <> to_jsonb(${fingerprint}::text)) as changed`;
  return row?.changed ?? false;
}
