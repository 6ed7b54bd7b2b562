/**
 * What a shard believes: reports by their fence, looks at the host by what they prove, and when it asks or gives up. No timer and no
 * activity here: each function is given the time.
 */
import type { HostSight } from '../activities/agents.ts';
import type { DeckyReport, HostReport } from '../fleet/agent-wire.ts';
import { errorText } from '../fleet/errors.ts';
import type { RowObservation } from '../fleet/judge-host.ts';
import type { DeployShardInput, Watch } from './shard-input.ts';
import type { ShardLedger } from './shard-ledger.ts';

/** Silence after which the agent is asked: a report that was lost is found out within a minute. */
const ASK_AFTER_MS = 30_000;
/** The longest pause between two questions while all is well. A deadline of 24 h has some 300 questions then. */
const LONGEST_ASK_PAUSE_MS = 300_000;
/** The pause grows to this share of the time in which nothing moved. */
const ASK_PAUSE_SHARE = 0.25;
/** Between two looks that have to agree, at least. */
const LOOK_PAUSE_MS = 500;
const FIRST_FAILED_PAUSE_MS = 1_000;

type Terms = Pick<DeployShardInput, 'hostName' | 'minHealthyTimeMs' | 'progressDeadlineMs' | 'hostLostAfterMs'>;
/** What is done with the rows. */
type Rows = Pick<ShardLedger, 'open' | 'isOpen' | 'succeed' | 'fail' | 'giveUp'>;

export const newWatch = (now: number): Watch => ({
  attempt: 0,
  fenced: false,
  dispatchedAt: now,
  boundMs: Number.MAX_SAFE_INTEGER,
  lastSign: now,
  lastProgress: now,
  lastAsk: now,
  begun: new Set(),
  seenSteps: new Set(),
  nextAsk: now + ASK_AFTER_MS,
  failedAsks: 0,
  why: null,
  sequences: new Map(),
  doubts: new Map(),
  suspects: new Map(),
});

/** Until the agent is asked again of which nothing new was heard for `quietMs`. */
export const askPauseMs = (quietMs: number): number =>
  Math.min(LONGEST_ASK_PAUSE_MS, Math.max(ASK_AFTER_MS, quietMs * ASK_PAUSE_SHARE));

/** Until a host is tried again that answered one question and failed at another, `failures` times before this one. */
export const failedPauseMs = (failures: number): number =>
  failures === 0 ? 0 : Math.min(LONGEST_ASK_PAUSE_MS, FIRST_FAILED_PAUSE_MS * 2 ** Math.min(failures, 20));

export const lostAt = ({ hostLostAfterMs }: Pick<Terms, 'hostLostAfterMs'>, watch: Watch): number =>
  watch.lastSign + hostLostAfterMs;

/** When the host has to be asked next: the deadline is judged by what it says then. */
export const nextWake = (input: Pick<Terms, 'progressDeadlineMs'>, watch: Watch): number =>
  Math.min(watch.nextAsk, deadlineOf(input, watch));

/** Takes in what came by signal, in its order; true where something of it was new. */
export function takeIn(inbox: readonly HostReport[], rows: Rows, watch: Watch, now: number): boolean {
  let any = false;
  for (const { reports } of inbox) {
    for (const report of reports) {
      if (!rows.isOpen(report.deckyName) || !isNews(report, watch)) continue;
      any = true;
      Object.assign(watch, { lastSign: now, nextAsk: now + ASK_AFTER_MS });
      if (isProgress(report, watch)) watch.lastProgress = now;
      believe(report, rows, watch, now);
    }
  }
  return any;
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

function believe(report: DeckyReport, ledger: Rows, watch: Watch, now: number): void {
  const { deckyName, status, error, seen, fence } = report;
  if (status === 'succeeded') ledger.succeed(deckyName, seen);
  else if (status === 'failed' && fence) ledger.fail(deckyName, reportedError(error), seen);
  else if (status === 'failed') {
    watch.suspects.set(deckyName, reportedError(error));
    watch.nextAsk = now;
  }
}

/** An agent's error as a row's: DECNET's are `Type: message` already. */
const reportedError = (error: string | null): string =>
  error || errorText('HostRefused', 'the agent reported a failure without a reason');

/** What a look at the host proves about the rows. Those that it does not name stand as they stood. */
export function takeSight(sight: HostSight, input: Terms, rows: Rows, watch: Watch, now: number): void {
  for (const step of sight.steps) {
    if (watch.seenSteps.has(step)) continue;
    watch.seenSteps.add(step);
    watch.lastProgress = now;
  }
  const named = new Set(sight.rows.map((row) => row.deckyName));
  for (const deckyName of watch.doubts.keys()) if (!named.has(deckyName)) watch.doubts.delete(deckyName);
  for (const row of sight.rows) {
    if (row.status === 'open' || row.proof === null) watch.doubts.delete(row.deckyName);
    else if (row.proof === 'certain') end(row, row.status, reportedError(row.error), rows);
    else if (provedTwice(row.deckyName, row.status, sight, input, watch, now))
      end(row, row.status, watch.suspects.get(row.deckyName) ?? sightError(input, row), rows);
  }
}

const sightError = (input: Terms, row: RowObservation): string =>
  errorText('ContainerExited', `host ${input.hostName} was asked twice and says: ${row.error ?? 'it does not run'}.`);

/**
 * Agents without fences: a look may fall into the middle of the work, so two have to say the same, `min_healthy_time` apart,
 * and not while a report may be under way, unless that report has come.
 */
function provedTwice(
  deckyName: string,
  status: 'succeeded' | 'failed',
  sight: HostSight,
  input: Terms,
  watch: Watch,
  now: number,
): boolean {
  const from = watch.suspects.has(deckyName) ? now : watch.dispatchedAt + sight.reportGraceMs;
  const before = watch.doubts.get(deckyName);
  const since = before?.status === status ? before.at : now;
  const provedAt = now < from ? from : since + Math.max(LOOK_PAUSE_MS, input.minHealthyTimeMs);
  if (now >= from) watch.doubts.set(deckyName, { status, at: since });
  if (now >= provedAt) return true;
  watch.nextAsk = Math.min(watch.nextAsk, provedAt);
  return false;
}

function end({ deckyName, seen }: RowObservation, status: 'succeeded' | 'failed', error: string, ledger: Rows): void {
  if (status === 'succeeded') ledger.succeed(deckyName, seen);
  else ledger.fail(deckyName, error, seen);
}

/** When the rows end though the host is there: nothing moved for `progress_deadline`, or the attempt as a whole took too long. */
export const deadlineOf = (
  { progressDeadlineMs }: Pick<Terms, 'progressDeadlineMs'>,
  { lastProgress, dispatchedAt, boundMs }: Watch,
): number => Math.min(lastProgress + progressDeadlineMs, dispatchedAt + boundMs);

/** Ends what is open at {@link deadlineOf}, once the host was asked after it. */
export function endByDeadline(input: Terms, rows: Rows, watch: Watch, now: number): void {
  const deadline = deadlineOf(input, watch);
  if (now < deadline || watch.lastAsk < deadline) return;
  const sentence =
    now < watch.lastProgress + input.progressDeadlineMs
      ? `host ${input.hostName} did not end its work within ${watch.boundMs / 1_000} s, though it went on reporting; that is the longest that progress_deadline and healthy_deadline allow.`
      : `host ${input.hostName} reported nothing new for ${input.progressDeadlineMs / 1_000} s (progress_deadline).`;
  const error = errorText('ProgressDeadline', watch.why ? `${sentence} The last try: ${watch.why}` : sentence);
  for (const row of rows.open) rows.giveUp(row.deckyName, error);
}
