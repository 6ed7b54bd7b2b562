/**
 * What a returned host has otherwise than the fleet. A row that was given up, since its host was silent, says nothing of what the
 * host does with the order. So the decky is noted, compared when the host is back, and put right by a reconcile where it differs.
 */
import type { LifecycleRow } from '../../fleet/rows.ts';
import type { Queryable } from './connect.ts';

export interface EndedRow extends Pick<LifecycleRow, 'decky_name' | 'host_uuid' | 'operation' | 'error'> {
  /** The host was sent it, and did not say how it ended. */
  readonly unsure: boolean;
}

/** In the transaction that ends deploys and mutations: what is known is owed no more, what is not is owed. */
export async function settleReconciles(tx: Queryable, rows: readonly EndedRow[]): Promise<void> {
  const ends = rows.flatMap(({ decky_name, host_uuid, operation, error, unsure }) =>
    host_uuid === null || operation === 'teardown'
      ? []
      : [
          {
            name: decky_name,
            host: host_uuid,
            unsure,
            why: `its ${operation} ended as ${error?.split(':')[0] ?? 'unknown'}`,
          },
        ],
  );
  if (ends.length === 0) return;
  const r = tx`jsonb_to_recordset(${tx.json(ends)}) as r (name text, host text, unsure boolean, why text)`;
  await tx`delete from owed_reconciles o using ${r} where o.decky_name = r.name and o.host_uuid = r.host and not r.unsure`;
  if (!ends.some(({ unsure }) => unsure)) return;
  await tx`insert into owed_reconciles (host_uuid, decky_name, why)
    select r.host, r.name, r.why from ${r} join swarm_hosts h on h.uuid = r.host where r.unsure
    on conflict (host_uuid, decky_name) do update set why = excluded.why, since = now()`;
  // The next report is taken in wholly, also when the host says the same as before it was lost.
  await tx`update swarm_hosts h set report_hash = null from ${r} where h.uuid = r.host and r.unsure`;
}

/** A later operation wants the decky: what it becomes is that one's. */
export const forgetReconciles = (tx: Queryable, names: readonly string[]) =>
  tx`delete from owed_reconciles where decky_name = any(${[...names]}::text[])`;

/** The deckies that are noted for a host, are the fleet's there still, and have no open row. */
export const RETURNED = (sql: Queryable) => sql`
  select o.host_uuid, o.decky_name, o.why, f.established is not null as established
  from owed_reconciles o join fleet_deckies f on f.name = o.decky_name and f.host_uuid = o.host_uuid
  where f.state not in ('tearing_down', 'teardown_failed') and not exists (
    select from decky_lifecycle l where l.decky_name = o.decky_name and l.status in ('pending', 'running'))`;
