/** What a look at a host leaves in a history, and on screens. */
import { createHash } from 'node:crypto';
import type { RowObservation } from '../fleet/judge-host.ts';
import { isRetry } from '../fleet/text.ts';

/** Temporal takes 2 MiB at most in one payload, and warns from a quarter of that. */
const HISTORY_BYTES = 400_000;

const MOST_MARKS = 10_000;

/** What a step is recognised by: eight characters. A repeated try of something that failed is none. */
const stepMark = ({ deckyName, status, step }: RowObservation): string[] =>
  status !== 'open' || step === null || isRetry(step)
    ? []
    : [createHash('sha256').update(`${deckyName} ${step}`).digest('base64').slice(0, 8)];

/** The rows that ended, as many as one history event should hold; the others by the marks of their steps. */
export function bounded(rows: readonly RowObservation[]): {
  readonly rows: readonly RowObservation[];
  readonly more: boolean;
  readonly steps: readonly string[];
} {
  const ended = rows.filter((row) => row.status !== 'open');
  const some: RowObservation[] = [];
  let left = HISTORY_BYTES;
  for (const row of ended) {
    left -= Buffer.byteLength(JSON.stringify(row));
    if (left < 0 && some.length > 0) break;
    some.push(row);
  }
  return { rows: some, more: some.length < ended.length, steps: rows.flatMap(stepMark).slice(0, MOST_MARKS) };
}

/** By lifecycle id: what each open row is at. */
export function stepsOf(
  rows: readonly { readonly lifecycleId: string; readonly deckyName: string }[],
  sights: readonly RowObservation[],
  attempt: number,
): Map<string, { step: string | null; attempt: number }> {
  const ids = new Map(rows.map((row) => [row.deckyName, row.lifecycleId]));
  return new Map(
    sights.flatMap(({ deckyName, status, step }) => {
      const id = ids.get(deckyName);
      return id !== undefined && status === 'open' ? [[id, { step, attempt }] as const] : [];
    }),
  );
}
