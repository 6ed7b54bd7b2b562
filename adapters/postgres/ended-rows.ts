/** Rows that have ended never change (promise 2), so whoever polls for them need not ask PostgreSQL each time. */
import { hasEnded } from '../../fleet/lifecycle.ts';
import type { LifecycleRow } from '../../fleet/rows.ts';

/** A row with what it is ordered by, besides when it began. */
export interface Placed {
  readonly row: LifecycleRow;
  readonly position: number;
}

/** About 2 MB, and 20 where each has the longest of errors. */
const MOST = 5_000;
/** They may be pruned: what is gone is not shown for much longer. */
const KEPT_MS = 60_000;

export class EndedRows {
  readonly #rows = new Map<string, { readonly placed: Placed; readonly until: number }>();

  get(id: string, now = Date.now()): Placed | null {
    const known = this.#rows.get(id);
    return known && known.until > now ? known.placed : null;
  }

  /** Keeps those that have ended; the longest known go first. */
  add(rows: readonly Placed[], now = Date.now()): void {
    for (const placed of rows) {
      const { id, status } = placed.row;
      if (!hasEnded(status)) continue;
      this.#rows.delete(id);
      this.#rows.set(id, { placed, until: now + KEPT_MS });
    }
    for (const id of this.#rows.keys()) {
      if (this.#rows.size <= MOST) break;
      this.#rows.delete(id);
    }
  }
}

/** As `order by started_at, position` does. */
export const inOrder = (rows: readonly Placed[]): LifecycleRow[] => [...rows].sort(compare).map(({ row }) => row);

function compare(left: Placed, right: Placed): number {
  const [first, second] = [left.row.started_at, right.row.started_at];
  if (first !== second) return first < second ? -1 : 1;
  return left.position - right.position;
}
