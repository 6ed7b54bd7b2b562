/** What the daily prune asks of PostgreSQL: to remove what nobody needs any longer, in small transactions. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Prunable } from '../adapters/postgres/prune.ts';
import { withFailures } from './failures.ts';

export interface PruneActivities {
  /** Rows removed by table; repeating it goes on where it stopped. Fails at its end when a table could not be pruned. */
  pruneRecords(): Promise<Record<string, number>>;
}

export const createPruneActivities = (prunables: readonly Prunable[]): PruneActivities =>
  withFailures<PruneActivities>({
    async pruneRecords() {
      const removed: Record<string, number> = {};
      const failures: string[] = [];
      for (const prunable of prunables) {
        try {
          removed[prunable.table] = await pruneTable(prunable);
        } catch (error) {
          Context.current().cancellationSignal.throwIfAborted();
          // One table that can't be pruned is no reason to let the others grow.
          failures.push(`${prunable.table}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      if (failures.length > 0) throw ApplicationFailure.create({ type: 'Unavailable', message: failures.join('; ') });
      return removed;
    },
  });

async function pruneTable({ table, batch, remove }: Prunable): Promise<number> {
  const { heartbeat, cancellationSignal } = Context.current();
  let removed = 0;
  for (;;) {
    cancellationSignal.throwIfAborted();
    heartbeat({ table, removed });
    const count = await remove(batch);
    removed += count;
    if (count < batch) return removed;
  }
}
