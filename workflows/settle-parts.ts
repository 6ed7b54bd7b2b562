/** Ends what the children of local parts left open. */
import type { LocalPart } from '../activities/deployments.ts';
import { openRows, recordTransitions } from './activities.ts';
import { type Counts, failedRows } from './ended-rows.ts';
import { settleLost } from './settle-lost.ts';

/** With the sentence given, or, where the child was terminated or failed, with what the engine says. */
export async function settleParts(parts: readonly LocalPart[], error: string | null): Promise<Counts> {
  let failed = 0;
  for (const part of parts) {
    const rows = await openRows({ workflowId: part.workflowId });
    if (error === null) await settleLost(rows);
    else await recordTransitions({ transitions: failedRows(rows, error) });
    failed += rows.length;
  }
  return { succeeded: 0, failed };
}
