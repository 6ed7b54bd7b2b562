/** Lifecycle rows: how many stand where, and how one is shown by every view. Pure. */
import { hasEnded, OPERATION, type Status } from '../fleet/lifecycle.ts';
import { EXIT, type ExitCode } from './errors.ts';
import type { Colours } from './io.ts';
import type { RowView } from './master.ts';
import { harmless, indented, shortDuration } from './text.ts';

export type Counts = Readonly<Record<Status, number>>;

export function countByStatus(rows: readonly RowView[]): Counts {
  const counts = { pending: 0, running: 0, succeeded: 0, failed: 0 };
  for (const row of rows) counts[row.status] += 1;
  return counts;
}

export const allEnded = (rows: readonly RowView[]): boolean => rows.every((row) => hasEnded(row.status));

export function exitCodeOf(rows: readonly RowView[]): ExitCode {
  if (rows.some((row) => row.status === 'failed')) return EXIT.someFailed;
  return allEnded(rows) ? EXIT.succeeded : EXIT.stillRunning;
}

/** `5 succeeded, 1 failed, 2 unchanged, 1 removed`: the first two always, the others where there are any. */
export function outcomeText(rows: readonly RowView[], unchanged: number): string {
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

// One row as text

const GLYPH: Readonly<Record<Status, string>> = { pending: '·', running: '▸', succeeded: '✓', failed: '✗' };
const FRAMES = ['◐', '◓', '◑', '◒'] as const;
const FRAME_MS = 150;

export function paint(status: Status, text: string, colours: Colours): string {
  if (status === 'succeeded') return colours.green(text);
  if (status === 'failed') return colours.red(text);
  return status === 'running' ? colours.cyan(text) : colours.dim(text);
}

/** A row that runs turns; `now` in epoch milliseconds picks the frame. */
export const glyph = (status: Status, now: number | null): string =>
  status === 'running' && now !== null ? (FRAMES[Math.floor(now / FRAME_MS) % FRAMES.length] ?? '◐') : GLYPH[status];

/** Time from the row's start to its end, or to `now`; null while it is pending or where a time makes no sense. */
function elapsed(row: RowView, now: number): number | null {
  if (row.status === 'pending') return null;
  const start = Date.parse(row.started_at);
  const end = hasEnded(row.status) ? Date.parse(row.completed_at ?? row.updated_at) : now;
  return Number.isFinite(end - start) ? Math.max(0, end - start) : null;
}

export const elapsedText = (row: RowView, now: number): string => {
  const ms = elapsed(row, now);
  return ms === null ? '' : shortDuration(ms);
};

/** `web-01`, or `web-01 (teardown)`: a deploy is what one expects, the rest is named. */
export const rowTitle = (row: RowView): string =>
  harmless(row.decky_name) + (row.operation === OPERATION.deploy ? '' : ` (${row.operation})`);

/** Name of the row's host, or its id where no name is known; null for the master's own engine. */
export const hostOf = (row: RowView): string | null => row.host_name ?? row.host_uuid;

/** What a row is at: its step, the first line of its error, or nothing. */
export function rowDetail(row: RowView): string {
  if (row.status === 'failed') return (row.error ?? '').split('\n')[0] ?? '';
  const attempt = row.attempt !== undefined && row.attempt > 1 ? ` (attempt ${row.attempt})` : '';
  if (hasEnded(row.status) || !row.step) return '';
  // The attempt belongs to what is tried; the reason may be long.
  const [what = '', ...why] = row.step.split('; retried');
  return [what + attempt, ...why].join('; retried');
}

/** A plain line per change: `web-01 succeeded 3.2s`, with the whole error indented below a failed one. */
export function changeLine(row: RowView, now: number, colours: Colours): string {
  const time = hasEnded(row.status) ? elapsedText(row, now) : '';
  const host = hostOf(row);
  const place = host === null ? '' : `on ${harmless(host)}`;
  const line = [rowTitle(row), place, paint(row.status, row.status, colours), time].filter(Boolean).join(' ');
  return row.status === 'failed' && row.error ? `${line}\n${indented(row.error, '    ')}` : line;
}

/** Errors with their evidence, one block a decky; empty when nothing failed. */
export const failureBlocks = (rows: readonly RowView[], colours: Colours): string[] =>
  rows
    .filter((row) => row.status === 'failed')
    .map((row) => `${colours.red(`✗ ${rowTitle(row)}`)}\n${indented(row.error ?? 'no reason was given', '    ')}`);
