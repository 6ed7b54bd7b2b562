/** How long an operation that has ended took, by phase, for metrics. */
import type { Queryable } from './connect.ts';

export interface OperationTimes {
  readonly kind: string;
  readonly outcome: string;
  /** From the stored request until it was judged, and until it had ended; in seconds. */
  readonly acceptSeconds: number;
  readonly totalSeconds: number;
  readonly rows: readonly RowTimes[];
}

/** Of a row that came to its turn; in seconds. */
export interface RowTimes {
  readonly queueSeconds: number;
  readonly convergeSeconds: number;
}

/** Null where the operation has not ended, or was never accepted. */
export async function readOperationTimes(sql: Queryable, id: string): Promise<OperationTimes | null> {
  const [operation] = await sql<Omit<OperationTimes, 'rows'>[]>`
    select kind, outcome, extract(epoch from decided_at - received_at)::float8 as "acceptSeconds",
      extract(epoch from ended_at - received_at)::float8 as "totalSeconds"
    from deployments where id = ${id} and state = 'accepted' and ended_at is not null`;
  if (!operation) return null;
  const rows = await sql<RowTimes[]>`
    select extract(epoch from dispatched_at - started_at)::float8 as "queueSeconds",
      extract(epoch from completed_at - dispatched_at)::float8 as "convergeSeconds"
    from decky_lifecycle where deployment_id = ${id} and dispatched_at is not null and completed_at is not null`;
  return { ...operation, rows };
}
