/** Rows that end together for one reason, and the counts of what ended. */
import type { Transition } from '../fleet/lifecycle.ts';
import { STATUS } from '../fleet/lifecycle.ts';

/** `error`: a whole row text. */
export const failedRows = (
  rows: readonly { readonly lifecycleId: string; readonly deckyName: string }[],
  error: string,
): Transition[] => rows.map(({ lifecycleId, deckyName }) => ({ lifecycleId, deckyName, status: STATUS.failed, error }));

export interface Counts {
  readonly succeeded: number;
  readonly failed: number;
}

export const addCounts = (counts: readonly Counts[]): Counts => ({
  succeeded: counts.reduce((sum, { succeeded }) => sum + succeeded, 0),
  failed: counts.reduce((sum, { failed }) => sum + failed, 0),
});
