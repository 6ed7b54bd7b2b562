/**
 * Following an operation until it has ended.
 *
 * 1. `watchRows` polls until every row has ended. An API that does not answer for a while does not end the wait.
 * 2. `reportEnd` says how the wait ended and returns the exit code.
 * 3. `follow` and `followAndTell` put both together for the commands.
 * 4. `submit` sends a request until the master answers it.
 */
import { isRefusal, isUnreachable } from './api-client.ts';
import { type Context, printJson } from './context.ts';
import { EXIT, type ExitCode } from './errors.ts';
import { type Io, pause } from './io.ts';
import { type Snapshot, viewFor, type WatchView } from './live.ts';
import type { DeploymentDetail, Master } from './master.ts';
import { allEnded, exitCodeOf, failureBlocks, outcomeText } from './rows.ts';
import { deckies, shortDuration } from './text.ts';

/** How often the API is asked. */
const POLL_MS = 300;
/** How often while it does not answer. */
const RETRY_MS = 500;

type WatchEnd = 'ended' | 'refused' | 'timeout' | 'interrupted';

interface WatchResult {
  readonly end: WatchEnd;
  /** As last seen; empty rows when nothing was ever seen. */
  readonly snapshot: Snapshot;
}

interface WatchOptions {
  readonly timeoutMs: number;
  readonly interrupted: AbortSignal;
  readonly pollMs?: number;
}

const NOTHING: Snapshot = { rows: [], waitingFor: null, refusal: null };

/** A 5xx, or no answer: the master may be restarting, so the next poll may succeed. */
const mayPass = (error: unknown): error is Error => isUnreachable(error) || (isRefusal(error) && error.status >= 500);

/** Throws what `read` throws when it can't pass (401, 404 …); the view is closed in any case. */
async function watchRows(read: () => Promise<Snapshot>, view: WatchView, options: WatchOptions): Promise<WatchResult> {
  const deadline = Date.now() + options.timeoutMs;
  let snapshot = NOTHING;
  let pauseMs: number;
  try {
    for (;;) {
      try {
        snapshot = await read();
        view.notice(null);
        view.update(snapshot);
        if (snapshot.refusal !== null) return { end: 'refused', snapshot };
        if (snapshot.rows.length > 0 && allEnded(snapshot.rows)) return { end: 'ended', snapshot };
        pauseMs = options.pollMs ?? POLL_MS;
      } catch (error) {
        if (options.interrupted.aborted) return { end: 'interrupted', snapshot };
        if (!mayPass(error)) throw error;
        view.notice(`${error.message} Trying again; the operation goes on without it.`);
        pauseMs = RETRY_MS;
      }
      if (Date.now() >= deadline) return { end: 'timeout', snapshot };
      await pause(Math.min(pauseMs, Math.max(0, deadline - Date.now())), options.interrupted);
      if (options.interrupted.aborted) return { end: 'interrupted', snapshot };
    }
  } finally {
    view.close();
  }
}

// 2. The end of a wait, in words and as an exit code

/** What can be typed while it goes on. */
interface NextCommands {
  readonly followAgain: string;
  readonly cancel: string | null;
}

/** Of a deployment; of single rows (null) only the deckies can be looked at. */
export const nextCommands = (deploymentId: string | null): NextCommands =>
  deploymentId === null
    ? { followAgain: 'deckhand deckies', cancel: null }
    : { followAgain: `deckhand status ${deploymentId} --wait`, cancel: `deckhand cancel ${deploymentId}` };

export interface Report {
  readonly result: WatchResult;
  readonly unchanged: number;
  /** "The deploy", "The teardown". */
  readonly what: string;
  readonly next: NextCommands;
  readonly startedAt: number;
  readonly json: boolean;
  /** Goes into the JSON document beside rows and counts. */
  readonly extra: Readonly<Record<string, unknown>>;
}

function exitCode({ end, snapshot }: WatchResult): ExitCode {
  if (end === 'refused') return EXIT.refused;
  if (end === 'interrupted') return EXIT.interrupted;
  return end === 'timeout' ? EXIT.stillRunning : exitCodeOf(snapshot.rows);
}

/** Prints the end of a wait and returns its exit code. */
export function reportEnd(io: Io, report: Report): ExitCode {
  const { end, snapshot } = report.result;
  const code = exitCode(report.result);
  if (report.json) {
    printJson(io, {
      ...report.extra,
      end,
      waiting_for: snapshot.waitingFor,
      unchanged: report.unchanged,
      rows: snapshot.rows,
    });
    return code;
  }
  // Piped, the evidence stands below its line already.
  if (io.terminal) for (const block of failureBlocks(snapshot.rows, io.colours)) io.out(block);
  const took = shortDuration(Date.now() - report.startedAt);
  if (end === 'ended') io.out(`${outcomeText(snapshot.rows, report.unchanged)} (${took})`);
  else io.err(unfinished(report, took));
  return code;
}

function unfinished(report: Report, took: string): string {
  const { end, snapshot } = report.result;
  if (end === 'refused') return `${report.what} did not take place: ${snapshot.refusal}`;
  const open = snapshot.rows.filter((row) => !allEnded([row])).length;
  const head = end === 'timeout' ? `Still running after ${took}: ` : '';
  const seen =
    snapshot.rows.length > 0 ? `${deckies(open)} of ${snapshot.rows.length} to go` : 'nothing seen of it yet';
  const wait = snapshot.waitingFor ? ` Waiting for: ${snapshot.waitingFor}` : '';
  const { followAgain, cancel } = report.next;
  const again = `\nFollow it: ${followAgain}${cancel === null ? '' : `\nCancel it: ${cancel}`}`;
  return `${head}${report.what.toLowerCase()} goes on, ${seen}.${wait}${again}`.replace(/^./, (first) =>
    first.toUpperCase(),
  );
}

// 3. Waiting for a deployment, for single rows, or for both

/** A request that ended in one of these never has rows (docs/states/request.md). */
const NEVER = ['refused', 'withdrawn'];

function refusalOf(detail: DeploymentDetail): string | null {
  if (NEVER.includes(detail.state)) return detail.refusal?.detail ?? `it was ${detail.state}.`;
  return detail.rows.length === 0 && detail.ended_at !== null
    ? `it ended without a row (${detail.outcome ?? detail.state}).`
    : null;
}

interface Followed {
  /** A deployment, whose rows are all waited for. */
  readonly id: string | null;
  /** Single rows, of this or other operations. */
  readonly lifecycleIds?: readonly string[];
  /** Epoch milliseconds. */
  readonly deadline: number;
}

const reader =
  (master: Master, { id, lifecycleIds = [] }: Followed) =>
  async (): Promise<Snapshot> => {
    const [detail, others] = await Promise.all([
      id === null ? null : master.deployment(id),
      lifecycleIds.length === 0 ? [] : master.lifecycle(lifecycleIds),
    ]);
    return {
      rows: [...(detail?.rows ?? []), ...others],
      waitingFor: detail?.waiting_for ?? null,
      refusal: detail === null ? null : refusalOf(detail),
    };
  };

/** Shows what happens until all of it has ended, or its deadline has passed. */
export async function follow({ io, json, master }: Context, followed: Followed): Promise<WatchResult> {
  const view = await viewFor(io, json);
  return watchRows(reader(master, followed), view, {
    timeoutMs: Math.max(0, followed.deadline - Date.now()),
    interrupted: io.interrupted,
  });
}

export interface Told {
  /** "The mutation". */
  readonly what: string;
  readonly startedAt: number;
  readonly next?: NextCommands;
  /** Goes into the JSON document beside rows and counts. */
  readonly extra: object;
}

/** {@link follow}, and the last words. */
export async function followAndTell(
  context: Context,
  followed: Followed,
  told: Told,
): Promise<{ readonly end: WatchResult['end']; readonly code: ExitCode }> {
  const result = await follow(context, followed);
  const { next = nextCommands(followed.id), extra, ...words } = told;
  const code = reportEnd(context.io, { ...words, result, unchanged: 0, next, json: context.json, extra: { ...extra } });
  return { end: result.end, code };
}

// 4. Sending a request again. Its idempotency key makes it one operation, however often it is sent.

/** Between two tries, where the master does not say (Retry-After). */
const SUBMIT_AGAIN_MS = 1000;

interface SubmitOptions {
  /** Epoch milliseconds; the first try is made in any case. */
  readonly deadline: number;
  /** The deadline for a master that never answered: probably there is none. */
  readonly silentDeadline: number;
  readonly interrupted: AbortSignal;
  readonly onRetry: (sentence: string) => void;
}

/** Throws what the last try threw. `send` asks under the same key each time, so that a lost answer comes again. */
export async function submit<T>(master: Master, send: () => Promise<T>, options: SubmitOptions): Promise<T> {
  for (;;) {
    try {
      return await send();
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      const deadline = master.heard ? options.deadline : Math.min(options.deadline, options.silentDeadline);
      const wait = error.retryAfterMs ?? SUBMIT_AGAIN_MS;
      if (options.interrupted.aborted || Date.now() + wait > deadline) throw error;
      options.onRetry(`${error.message} Trying again in ${wait / 1000} s.`);
      await pause(wait, options.interrupted);
    }
  }
}
