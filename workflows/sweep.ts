/** The sweep, a round of housekeeping each minute: sends what the bus has not, and finds the rows that nobody works on. */
import { isCancellation, setCurrentDetails } from '@temporalio/workflow';
import { closeOrphans, findOrphans, publishTransitions, restartOperations, resumeTeardowns } from './activities.ts';
import { settleLost } from './settle-lost.ts';

export interface SweepSummary {
  readonly restarted: number;
  readonly lost: number;
}

export async function sweep(): Promise<SweepSummary> {
  // A bus that is down is no reason to leave rows open.
  const sent = await publishTransitions().catch(() => null);
  const orphans = await findOrphans();
  // What can't be done for one is no reason to leave out the rest: it is the failure of this sweep at the end.
  const failures: unknown[] = [];
  const beside = (failure: unknown): void => {
    if (isCancellation(failure)) throw failure;
    failures.push(failure);
  };
  if (orphans.restart.length > 0) await restartOperations({ operationIds: orphans.restart }).catch(beside);
  await settleLost(orphans.lost).catch(beside);
  await closeOrphans().catch(beside);
  // A host's heartbeat begins what it owes; here it is found out where that went wrong.
  await resumeTeardowns().catch(beside);
  if (failures.length > 0) throw failures[0];
  setCurrentDetails(
    `${sent === null ? 'The bus did not answer' : `${sent} events sent`}; ${orphans.restart.length} operations started again, ${orphans.lost.length} rows ended as lost.`,
  );
  return { restarted: orphans.restart.length, lost: orphans.lost.length };
}
