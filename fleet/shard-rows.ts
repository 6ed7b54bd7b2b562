/**
 * The open rows of a host's share of a deployment: what reports and observations say of them, and what that proves.
 *
 * 1. The types: a row, what is known of it, an observation.
 * 2. Reports: taken by their fence.
 * 3. Observations: certain for agents with fences, otherwise proved by two that agree.
 */
import type { DeckyReport } from './agent-wire.ts';
import { errorText } from './errors.ts';
import type { RowObservation } from './judge-host.ts';
import { type DeckyState, type Operation, STATUS, type Transition } from './lifecycle.ts';

export interface ShardRow {
  readonly lifecycleId: string;
  readonly deckyName: string;
  readonly operation: Operation;
}

/** What is known of an open row in this attempt. */
export interface RowFacts {
  readonly deckyName: string;
  /** The host reported that its work began. */
  readonly begun: boolean;
  /** The sequence of the last report that was taken; -1: none. */
  readonly sequence: number;
  /** What one observation said, to be proved by a second (agents without fences). */
  readonly pendingProof: { readonly status: 'succeeded' | 'failed'; readonly since: number } | null;
  /** A failure that an agent without fences reported: its batch may have failed and the decky run. */
  readonly suspicion: string | null;
}

export type ShardOpenRow = ShardRow & RowFacts;

/** The answer of asking the host. */
export interface ShardObservation {
  readonly reachable: boolean;
  /** Why not, where it is not. */
  readonly sentence: string | null;
  /** Epoch milliseconds of the host's last sign of life; null: never. */
  readonly lastSignMs: number | null;
  readonly fenced: boolean;
  /** False: the agent knows nothing of the order. */
  readonly known: boolean;
  /** True: the agent names the order, and so has it. */
  readonly has: boolean;
  /** Those of which the status proves something; no more than a history should hold. */
  readonly rows: readonly RowObservation[];
  /** There are more: ask again. */
  readonly more: boolean;
  /** Marks of what the others are at; one that was not there before is progress. */
  readonly steps: readonly string[];
  /** How long after a dispatch a report of an agent without fences may still be under way. */
  readonly reportGraceMs: number;
}

export type RowEnd = Pick<Transition, 'status' | 'error' | 'seen' | 'unsure'>;

/** What is left open, and what ended. */
export interface Taken {
  readonly rows: readonly ShardOpenRow[];
  readonly ends: readonly (readonly [ShardOpenRow, RowEnd])[];
}

/** Between two observations that have to agree, at least. */
const OBSERVATION_PAUSE_MS = 500;

export const freshRow = (row: ShardRow): ShardOpenRow => ({
  lifecycleId: row.lifecycleId,
  deckyName: row.deckyName,
  operation: row.operation,
  begun: false,
  sequence: -1,
  pendingProof: null,
  suspicion: null,
});

export const succeeded = (seen: DeckyState | null): RowEnd => ({
  status: STATUS.succeeded,
  ...(seen ? { seen } : {}),
});

/** `error`: a whole row text. */
export const failed = (error: string, seen: DeckyState | null): RowEnd => ({
  status: STATUS.failed,
  error,
  ...(seen ? { seen } : {}),
});

/** Fails a row without the agent's word for it: what its host does with what it was sent is not known. */
export const givenUp = (error: string): RowEnd => ({ status: STATUS.failed, error, unsure: true });

export interface TakenReports extends Taken {
  /** Something of it was not reported before in this attempt. */
  readonly isNew: boolean;
  /** It shows progress. An agent that starts again and again repeats that it works on a decky: that is none. */
  readonly isProgress: boolean;
  /** An agent without fences reported a failure: what runs has to be asked. */
  readonly isSuspicion: boolean;
}

/** Takes reports in, in their order. */
export function takeReports(
  rows: readonly ShardOpenRow[],
  reports: readonly DeckyReport[],
  attempt: { readonly attempt: number; readonly fenced: boolean },
): TakenReports {
  const open = new Map(rows.map((row) => [row.deckyName, row]));
  const ends: [ShardOpenRow, RowEnd][] = [];
  let isNew = false;
  let isProgress = false;
  let isSuspicion = false;
  for (const report of reports) {
    const row = open.get(report.deckyName);
    if (!row || !isOfAttempt(report, row, attempt)) continue;
    isNew = true;
    isProgress ||= showsProgress(report, row);
    const end = reportedEnd(report);
    if (end) {
      open.delete(row.deckyName);
      ends.push([row, end]);
      continue;
    }
    isSuspicion ||= report.status === STATUS.failed;
    open.set(row.deckyName, {
      ...row,
      begun: row.begun || report.status === STATUS.running,
      sequence: report.fence?.sequence ?? row.sequence,
      suspicion: report.status === STATUS.failed ? reportedError(report.error) : row.suspicion,
    });
  }
  return { rows: [...open.values()], ends, isNew, isProgress, isSuspicion };
}

/** Only what was not reported before in this attempt. */
function showsProgress({ status, fence }: DeckyReport, row: ShardOpenRow): boolean {
  if (status === STATUS.running) return !row.begun;
  return status === STATUS.succeeded || fence !== null || row.suspicion === null;
}

/** The fence: a report of an earlier attempt, or one that was overtaken, changes nothing (promise 4). */
function isOfAttempt(
  { fence }: DeckyReport,
  row: ShardOpenRow,
  { attempt, fenced }: { readonly attempt: number; readonly fenced: boolean },
): boolean {
  if (!fence) return !fenced;
  return fence.attempt === attempt && fence.sequence > row.sequence;
}

function reportedEnd({ status, error, seen, fence }: DeckyReport): RowEnd | null {
  if (status === STATUS.succeeded) return succeeded(seen);
  return status === STATUS.failed && fence ? failed(reportedError(error), seen) : null;
}

/** An agent's error as a row's: DECNET's are `Type: message` already. */
const reportedError = (error: string | null): string =>
  error || errorText('HostRefused', 'the agent reported a failure without a reason');

export interface TakenObservation extends Taken {
  /** When to ask again for the second proof; null: no row needs one. */
  readonly askAt: number | null;
}

export interface ObservedAttempt {
  readonly hostName: string;
  readonly minHealthyTimeMs: number;
  readonly dispatchedAt: number;
}

/** Takes in what an observation proves. Rows that it does not name stand as they stood. */
export function takeObservation(
  rows: readonly ShardOpenRow[],
  observation: ShardObservation,
  attempt: ObservedAttempt,
  now: number,
): TakenObservation {
  const named = new Map(observation.rows.map((row) => [row.deckyName, row]));
  const left: ShardOpenRow[] = [];
  const ends: [ShardOpenRow, RowEnd][] = [];
  let askAt: number | null = null;
  for (const row of rows) {
    const seen = named.get(row.deckyName);
    if (!seen || seen.status === 'open' || seen.proof === null) left.push({ ...row, pendingProof: null });
    else if (seen.proof === 'certain') ends.push([row, observedEnd(seen, reportedError(seen.error))]);
    else {
      const { pendingProof, provedAt } = prove(row, seen.status, observation.reportGraceMs, attempt, now);
      if (now >= provedAt) ends.push([row, observedEnd(seen, row.suspicion ?? observedError(attempt, seen))]);
      else {
        left.push({ ...row, pendingProof });
        askAt = Math.min(askAt ?? provedAt, provedAt);
      }
    }
  }
  return { rows: left, ends, askAt };
}

const observedEnd = ({ status, seen }: RowObservation, error: string): RowEnd =>
  status === 'succeeded' ? succeeded(seen) : failed(error, seen);

const observedError = ({ hostName }: ObservedAttempt, { error }: RowObservation): string =>
  errorText('ContainerExited', `host ${hostName} was asked twice and says: ${error ?? 'it does not run'}.`);

/**
 * Agents without fences: an observation may fall into the middle of the work. So two have to say the same, `min_healthy_time`
 * apart, and not while a report may be under way, unless that report has come.
 */
function prove(
  row: ShardOpenRow,
  status: 'succeeded' | 'failed',
  reportGraceMs: number,
  { minHealthyTimeMs, dispatchedAt }: ObservedAttempt,
  now: number,
): { readonly pendingProof: RowFacts['pendingProof']; readonly provedAt: number } {
  const from = row.suspicion === null ? dispatchedAt + reportGraceMs : now;
  if (now < from) return { pendingProof: row.pendingProof, provedAt: from };
  const since = row.pendingProof?.status === status ? row.pendingProof.since : now;
  return { pendingProof: { status, since }, provedAt: since + Math.max(OBSERVATION_PAUSE_MS, minHealthyTimeMs) };
}
