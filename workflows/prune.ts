/** The prune, a Schedule each day: what is older than what is kept goes, never what is open (docs/observability.md#what-is-kept-and-how-long). */
import { setCurrentDetails } from '@temporalio/workflow';
import { pruneRecords } from './activities.ts';

export type PruneSummary = Readonly<Record<string, number>>;

export async function prune(): Promise<PruneSummary> {
  const removed = await pruneRecords();
  const lines = Object.entries(removed).map(([table, count]) => `- ${table}: ${count}`);
  setCurrentDetails(['Rows removed:', ...lines].join('\n'));
  return removed;
}
