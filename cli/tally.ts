/** Counting rows. Pure. */
import { hasEnded, OPERATION, type Status } from '../fleet/lifecycle.ts';
import type { OperationRow } from './api-types.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

export type Counts = Readonly<Record<Status, number>>;

export function countByStatus(rows: readonly OperationRow[]): Counts {
  const counts = { pending: 0, running: 0, succeeded: 0, failed: 0 };
  for (const row of rows) counts[row.status] += 1;
  return counts;
}

export const allEnded = (rows: readonly OperationRow[]): boolean => rows.every((row) => hasEnded(row.status));

export function exitCodeOf(rows: readonly OperationRow[]): ExitCode {
  if (rows.some((row) => row.status === 'failed')) return EXIT.someFailed;
  return allEnded(rows) ? EXIT.succeeded : EXIT.stillRunning;
}

/** `5 succeeded, 1 failed, 2 unchanged, 1 removed`: the first two always, the others where there are any. */
export function outcomeText(rows: readonly OperationRow[], unchanged: number): string {
  const removals = rows.filter((row) => row.operation === OPERATION.teardown && row.status === 'succeeded').length;
  const counts = countByStatus(rows);
  const onlyRemovals = removals > 0 && rows.every((row) => row.operation === OPERATION.teardown);
  const parts = [
    `${onlyRemovals ? counts.succeeded : counts.succeeded - removals} succeeded`,
    `${counts.failed} failed`,
  ];
  if (unchanged > 0) parts.push(`${unchanged} unchanged`);
  if (removals > 0 && !onlyRemovals) parts.push(`${removals} removed`);
  return parts.join(', ');
}
