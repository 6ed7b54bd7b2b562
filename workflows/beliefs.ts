/** What a shard believes: reports by their fence, looks at the host by what they prove, and the deadline of progress. */
import type { HostSight } from '../activities/agents.ts';
import { isRetry } from '../fleet/agent-steps.ts';
import { errorText } from '../fleet/errors.ts';
import type { RowSight } from '../fleet/judge-host.ts';
import type { DeckyReport, HostReport } from '../fleet/reports.ts';
import type { DeployShardInput } from './shard.ts';
import { reportedError, type ShardLedger } from './shard-ledger.ts';

/** Silence after which the agent is asked: a report that was lost is found out within a minute. */
export const ASK_AFTER_MS = 30_000;
/** Between two looks that have to agree, at least. */
const LOOK_PAUSE_MS = 500;

/** What is known of the host while the shard waits. */
export interface Watch {
  attempt: number;
  fenced: boolean;
  dispatchedAt: number;
  /** How long the attempt may take from then on, whatever moves. */
  boundMs: number;
  /** The first try, or the last sign of life. */
  lastSign: number;
  /** The last time that anything moved. */
  lastProgress: number;
  nextAsk: number;
  /** Deckies that reported, in this attempt, that their work began. */
  readonly begun: Set<string>;
  /** Steps that were seen, so that one that comes again moves nothing. */
  readonly seenSteps: Set<string>;
  /** The last sequence that was believed, by decky. */
  readonly sequences: Map<string, number>;
  /** What one look said, to be proved by a second (agents without fences). */
  readonly doubts: Map<string, { status: 'succeeded' | 'failed'; at: number }>;
  /** Failures that an agent without fences reported: its batch may have failed and the decky run. */
  readonly suspects: Map<string, string>;
}

export const newWatch = (now: number): Watch => ({
  attempt: 0,
  fenced: false,
  dispatchedAt: now,
  boundMs: Number.POSITIVE_INFINITY,
  lastSign: now,
  lastProgress: now,
  nextAsk: now + ASK_AFTER_MS,
  begun: new Set(),
  seenSteps: new Set(),
  sequences: new Map(),
  doubts: new Map(),
  suspects: new Map(),
});

/** Takes in what came by signal, in its order. */
export function takeIn(inbox: readonly HostReport[], ledger: ShardLedger, watch: Watch): void {
  for (const { reports } of inbox) {
    for (const report of reports) {
      if (!isNews(report, watch) || !ledger.isOpen(report.deckyName)) continue;
      const now = Date.now();
      Object.assign(watch, { lastSign: now, nextAsk: now + ASK_AFTER_MS });
      if (isProgress(report, watch)) watch.lastProgress = now;
      believe(report, ledger, watch);
    }
  }
}

/** An agent that starts again and again says each time that it works on the decky: only the first time is progress. */
function isProgress({ deckyName, status }: DeckyReport, { begun }: Watch): boolean {
  if (status !== 'running') return true;
  const isFirst = !begun.has(deckyName);
  begun.add(deckyName);
  return isFirst;
}

/** The fence: a report of an earlier attempt, or one that was overtaken, changes nothing (promise 4). */
function isNews({ deckyName, fence }: DeckyReport, watch: Watch): boolean {
  if (!fence) return !watch.fenced;
  if (fence.attempt !== watch.attempt) return false;
  if (fence.sequence <= (watch.sequences.get(deckyName) ?? -1)) return false;
  watch.sequences.set(deckyName, fence.sequence);
  return true;
}

function believe(report: DeckyReport, ledger: ShardLedger, watch: Watch): void {
  const { deckyName, status, error, seen, fence } = report;
  if (status === 'succeeded') ledger.succeed(deckyName, seen);
  else if (status === 'failed' && fence) ledger.fail(deckyName, reportedError(error), seen);
  else if (status === 'failed') {
    watch.suspects.set(deckyName, reportedError(error));
    watch.nextAsk = Date.now();
  }
}

/** What a look at the host proves about the rows. */
export function takeSight(sight: HostSight, input: DeployShardInput, ledger: ShardLedger, watch: Watch): void {
  for (const { deckyName, step } of sight.rows) {
    const mark = `${deckyName} ${step}`;
    if (step === null || isRetry(step) || watch.seenSteps.has(mark)) continue;
    watch.seenSteps.add(mark);
    watch.lastProgress = Date.now();
  }
  for (const row of sight.rows) {
    if (row.status === 'open' || row.proof === null) watch.doubts.delete(row.deckyName);
    else if (row.proof === 'certain') end(row, row.status, reportedError(row.error), ledger);
    else if (provedTwice(row.deckyName, row.status, sight, input, watch))
      end(row, row.status, watch.suspects.get(row.deckyName) ?? sightError(input, row), ledger);
  }
}

const sightError = (input: DeployShardInput, row: RowSight): string =>
  errorText('ContainerExited', `host ${input.hostName} was asked twice and says: ${row.error ?? 'it does not run'}.`);

/**
 * Agents without fences: a look may fall into the middle of the work, so two have to say the same, `min_healthy_time` apart,
 * and not while a report may be under way, unless that report has come (ours.md).
 */
function provedTwice(
  deckyName: string,
  status: 'succeeded' | 'failed',
  sight: HostSight,
  input: DeployShardInput,
  watch: Watch,
): boolean {
  const now = Date.now();
  const from = watch.suspects.has(deckyName) ? now : watch.dispatchedAt + sight.reportGraceMs;
  const before = watch.doubts.get(deckyName);
  const since = before?.status === status ? before.at : now;
  const provedAt = now < from ? from : since + Math.max(LOOK_PAUSE_MS, input.minHealthyTimeMs);
  if (now >= from) watch.doubts.set(deckyName, { status, at: since });
  if (now >= provedAt) return true;
  watch.nextAsk = Math.min(watch.nextAsk, provedAt);
  return false;
}

function end({ deckyName, seen }: RowSight, status: 'succeeded' | 'failed', error: string, ledger: ShardLedger): void {
  if (status === 'succeeded') ledger.succeed(deckyName, seen);
  else ledger.fail(deckyName, error, seen);
}

/** When the rows end though the host is there: nothing moved for `progress_deadline`, or the attempt as a whole took too long. */
export const deadlineOf = (input: DeployShardInput, watch: Watch): number =>
  Math.min(watch.lastProgress + input.progressDeadlineMs, watch.dispatchedAt + watch.boundMs);

export function endByDeadline(input: DeployShardInput, ledger: ShardLedger, watch: Watch): void {
  const now = Date.now();
  if (now < deadlineOf(input, watch)) return;
  const sentence =
    now < watch.lastProgress + input.progressDeadlineMs
      ? `host ${input.hostName} did not end its work within ${watch.boundMs / 1_000} s, though it went on reporting; that is the longest that progress_deadline and healthy_deadline allow.`
      : `host ${input.hostName} reported nothing new for ${input.progressDeadlineMs / 1_000} s (progress_deadline).`;
  const error = errorText('ProgressDeadline', sentence);
  for (const row of ledger.open) ledger.fail(row.deckyName, error, null);
}
