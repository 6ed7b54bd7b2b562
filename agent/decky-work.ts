/**
 * One decky on this host's engine: engine/rollout.ts does the work, and here its outcome is written down. Every step may be
 * repeated after a restart of the agent.
 *
 * 1. The attempt: its deadlines count from what was written down, and not from the start of the agent.
 * 2. Up, or back to the last good version.
 * 3. Down.
 * 4. Clean-ups that did not work are done later.
 */
import type { ProgressMemory, RetryPolicy } from '../engine/retry-policy.ts';
import {
  type Aftermath,
  bringUp as bringUpOnEngine,
  type Failed,
  fallBack,
  rolloutWithRetries,
  specOf,
  takeDown as takeDownOnEngine,
  watch,
} from '../engine/rollout.ts';
import type { DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { DECKY_STATE, hasEnded, OPERATION, type Operation, STATUS } from '../fleet/lifecycle.ts';
import { bringUpBoundMs } from '../fleet/limits.ts';
import { type AgentContext, failureText, type Job, note, onRetry, tellOutcome } from './context.ts';
import {
  type AgentState,
  beginWork,
  DEATHS,
  type DeckyRecord,
  type DeckyWork,
  deathsAt,
  hasEndedIn,
  hasSeen,
  knownRecord,
  noteOutcome,
  noteStep,
  recordOf,
  sameAttempt,
  since,
  type Timing,
} from './state.ts';

// 1. The attempt

/** Where a deadline passed while the agent was away, one more try has this long. */
const LAST_TRY_MS = 15_000;

interface Attempt {
  readonly memory: ProgressMemory;
  /** What is left of healthy_deadline. The first call says that the containers were started. */
  healthyLeftMs(): Promise<number>;
}

interface Begin {
  readonly name: string;
  /** Null where nothing waits: a removal has the deadline of its caller. */
  readonly timing: Timing | null;
  /** Null for a decky that only has to stay as it is: nobody waits for a report on it. */
  readonly report: Operation | null;
}

/** Resolves when the begin is on disk. What was begun before a restart goes on, and is not reported a second time. */
async function beginAttempt(job: Job, { name, timing, report }: Begin): Promise<Attempt> {
  const { store } = job.context;
  const now = new Date();
  const begun = await store.record((state) => {
    const last = knownRecord(state, name)?.last;
    const isKnown = last != null && sameAttempt(last, job.order);
    const work = beginWork(state, job.order, name, now);
    const outcome = report !== null && !isKnown ? runningAs(report) : null;
    if (outcome) noteOutcome(state, job.order, name, outcome, now);
    const lastTry = timing !== null && !work.late && isLate(work, timing, now);
    if (lastTry) work.late = true;
    return { work, outcome, lastTry };
  });
  const { work, outcome, lastTry } = begun;
  if (outcome) tellOutcome(job, name, outcome);
  const { progressDeadlineMs = 0, healthyDeadlineMs = 0, minHealthyMs = 0 } = timing ?? {};
  const left = (deadlineMs: number, from: string | undefined, graceMs: number): number =>
    Math.max(deadlineMs - since(from, new Date()), lastTry ? Math.min(deadlineMs, graceMs) : 0);
  return {
    memory: {
      leftMs: left(progressDeadlineMs, work.moved_at, LAST_TRY_MS),
      boundMs: left(bringUpBoundMs({ progressDeadlineMs }), work.began_at, LAST_TRY_MS),
      hasSeen: (step) => hasSeen(work, step),
      note: (step) => store.record(() => noteStep(work, step, new Date())),
    },
    async healthyLeftMs() {
      if (work.up_at === undefined)
        await store.record(() => {
          work.up_at = new Date().toISOString();
        });
      return left(healthyDeadlineMs, work.up_at, minHealthyMs + LAST_TRY_MS);
    },
  };
}

const isLate = ({ moved_at, up_at }: DeckyWork, timing: Timing, now: Date): boolean =>
  since(moved_at, now) >= timing.progressDeadlineMs ||
  (up_at !== undefined && since(up_at, now) >= timing.healthyDeadlineMs);

const runningAs = (operation: Operation) => ({
  operation,
  status: STATUS.running,
  error: null,
  seen: operation === OPERATION.teardown ? DECKY_STATE.tearingDown : DECKY_STATE.pending,
});

/** Throws AgentDied for a decky that ended the agent again and again. */
function refuseDeadly({ context, order }: Job, name: string): void {
  const deaths = deathsAt(context.store.state, order, name);
  if (deaths >= DEATHS)
    throw new DeckhandError(
      'AgentDied',
      `the agent died ${deaths} times while it worked on this order, each time with this decky in work; look at its log`,
    );
}

// 2. Up, or back to the last good version

interface BringUp {
  readonly name: string;
  readonly desired: DesiredDecky;
  readonly network: FleetNetwork;
  readonly operation: Exclude<Operation, 'teardown'>;
  readonly timing: Timing;
  /** False for a decky that only has to stay as it is: nobody waits for a report on it. */
  readonly reported: boolean;
}

/** How a decky is worked on, but for the deadline. Secrets are cut out of steps and retries. */
type Terms = Omit<RetryPolicy, 'progressDeadlineMs'>;

/** Brings a decky up, or back to its last good version, and notes how it ended. Throws only when aborted. */
export async function bringUp(job: Job, work: BringUp): Promise<void> {
  const { name, operation, desired } = work;
  const { local, logger, steps, store } = job.context;
  if (work.reported && hasEndedIn(store.state, job.order, name)) return;
  const { established } = recordOf(store.state, name);
  const cut = (text: string): string => local.cutSecrets(text, established ? [desired, established] : [desired]);
  const terms: Terms = {
    signal: job.signal,
    abort: job.abort,
    onStep: (text) => void steps.set(name, cut(text)),
    onRetry: (why, until) => onRetry(job, name)(cut(why), until),
  };
  try {
    await startAndWatch(job, work, terms);
    const versions = { desired, established: desired };
    if (!work.reported) return await store.record((state) => stayed(recordOf(state, name), versions));
    const seen = desired.stopped ? DECKY_STATE.stopped : DECKY_STATE.running;
    await note(job, name, { operation, status: STATUS.succeeded, error: null, seen }, versions);
  } catch (error) {
    job.signal.throwIfAborted();
    logger.warn({ decky: name, err: cut(failureText(error, null)) }, 'a decky did not come up');
    if (!work.reported) return;
    const lastGood = established && whereItCanBe(store.state, established, desired);
    const aftermath = await afterFailure(job, { name, network: work.network, established: lastGood }, terms);
    const text = cut(failureText(error, aftermath.sentence));
    const versions = { desired: lastGood, established: lastGood, ...(aftermath.isDone ? {} : { cleanUp: true }) };
    await note(job, name, { operation, status: STATUS.failed, error: text, seen: aftermath.seen }, versions);
  } finally {
    steps.delete(name);
  }
}

async function startAndWatch(job: Job, work: BringUp, terms: Terms): Promise<void> {
  const { local, window } = job.context;
  const { name, operation, timing, reported } = work;
  const { progressDeadlineMs, minHealthyMs } = timing;
  const spec = specOf(local, work.desired);
  const policy = { ...terms, progressDeadlineMs };
  const release = await window.acquire(job.signal);
  let attempt: Attempt;
  try {
    attempt = await beginAttempt(job, { name, timing, report: reported ? operation : null });
    refuseDeadly(job, name);
    await bringUpOnEngine(rolloutWithRetries(local, { ...policy, memory: attempt.memory }), spec, work.network);
  } finally {
    release();
  }
  // One that only has to stay as it is was healthy before; to wait for it would hold up what comes next.
  if (!reported) return;
  await watch(rolloutWithRetries(local, policy), spec, { minHealthyMs, leftMs: await attempt.healthyLeftMs() });
}

/** The last good version of a decky that moved: at the address of the order, where by the same order its own is another's. */
function whereItCanBe({ deckies }: AgentState, established: DesiredDecky, { config }: DesiredDecky): DesiredDecky {
  const { ip } = established.config;
  const isTaken = Object.entries(deckies).some(
    ([name, { desired }]) => name !== config.name && desired?.config.ip === ip,
  );
  return isTaken ? { ...established, config: { ...established.config, ip: config.ip } } : established;
}

/** Nobody ends what an earlier attempt began with it and did not finish. */
function stayed(record: DeckyRecord, versions: Pick<DeckyRecord, 'desired' | 'established'>): void {
  Object.assign(record, versions);
  delete record.work;
  if (record.last && !hasEnded(record.last.status)) record.last = null;
}

/** Throws only when aborted. */
async function afterFailure(job: Job, failed: Failed, terms: Terms): Promise<Aftermath> {
  // The clean-up itself may be what ends the agent.
  if (deathsAt(job.context.store.state, job.order, failed.name) > DEATHS)
    return { sentence: 'what the engine has of it was left as it is', seen: DECKY_STATE.degraded, isDone: true };
  return fallBackOrLater(job.context, failed, terms);
}

/** How long the fall back may go without progress. */
const CLEAN_UP_MS = 60_000;

/** Throws only when aborted. */
async function fallBackOrLater({ local, logger }: AgentContext, failed: Failed, terms: Terms): Promise<Aftermath> {
  try {
    return await fallBack(rolloutWithRetries(local, { ...terms, progressDeadlineMs: CLEAN_UP_MS }), failed);
  } catch (error) {
    terms.signal.throwIfAborted();
    logger.warn({ decky: failed.name, err: error }, 'a clean-up did not work; it is tried again later');
    const sentence = 'cleaning up did not work either; it is tried again later';
    return { sentence, seen: DECKY_STATE.degraded, isDone: false };
  }
}

// 3. Down

/**
 * Removes a decky's containers; what the host knows of it stays, so that it can come up elsewhere. Resolves with the error, if
 * there was one; throws only when aborted.
 */
export async function clearAway(job: Job, name: string, progressDeadlineMs: number): Promise<unknown> {
  const { local, steps, window } = job.context;
  const onStep = (text: string): void => void steps.set(name, text);
  const { signal, abort } = job;
  const release = await window.acquire(signal);
  try {
    const policy = { progressDeadlineMs, signal, abort, onStep, onRetry: onRetry(job, name) };
    await takeDownOnEngine(rolloutWithRetries(local, policy), name);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return error;
  } finally {
    release();
    steps.delete(name);
  }
}

/** As {@link clearAway}, and forgets it. */
export async function takeDown(job: Job, name: string, progressDeadlineMs: number): Promise<unknown> {
  const error = await clearAway(job, name, progressDeadlineMs);
  if (error !== null) return error;
  await job.context.store.record((state) => {
    const record = knownRecord(state, name);
    if (record) Object.assign(record, { desired: null, established: null });
  });
  return null;
}

/** As {@link takeDown}, with reports to the master. */
export async function takeDownReported(job: Job, name: string, progressDeadlineMs: number): Promise<void> {
  const { local, store } = job.context;
  if (hasEndedIn(store.state, job.order, name)) return;
  const operation = OPERATION.teardown;
  await beginAttempt(job, { name, timing: null, report: operation });
  const record = knownRecord(store.state, name);
  const versions = [record?.desired, record?.established].flatMap((version) => version ?? []);
  const error = await takeDownUnlessDeadly(job, name, progressDeadlineMs);
  if (error === null)
    return note(job, name, { operation, status: STATUS.succeeded, error: null, seen: DECKY_STATE.tornDown });
  const text = local.cutSecrets(failureText(error, null), versions);
  await note(job, name, { operation, status: STATUS.failed, error: text, seen: DECKY_STATE.teardownFailed });
}

/** As {@link takeDown}; what ended the agent again and again is not tried any more. */
async function takeDownUnlessDeadly(job: Job, name: string, progressDeadlineMs: number): Promise<unknown> {
  try {
    refuseDeadly(job, name);
  } catch (error) {
    return error;
  }
  return takeDown(job, name, progressDeadlineMs);
}

// 4. Clean-ups that did not work, because the engine was away or the disk full

const uncleaned = (state: AgentState): string[] =>
  Object.entries(state.deckies).flatMap(([name, { cleanUp }]) => (cleanUp ? [name] : []));

export const hasCleanUps = (state: AgentState): boolean => uncleaned(state).length > 0;

/** Throws the reason of `signal` when aborted: an order has come, which does as it says with the decky. */
export async function cleanUpLater(context: AgentContext, signal: AbortSignal): Promise<void> {
  const { store, logger } = context;
  for (const name of uncleaned(store.state)) {
    const { network } = store.state;
    const record = knownRecord(store.state, name);
    if (!record || (record.established && !network)) continue;
    // Should the clean-up end the agent, it is not begun again.
    await store.record(() => void delete record.cleanUp);
    const keep = (): Promise<unknown> =>
      store.record(() => {
        record.cleanUp = true;
      });
    try {
      const terms = { signal, abort: signal, onStep: () => {} };
      const failed = { name, network, established: record.established };
      const { sentence, isDone } = await fallBackOrLater(context, failed, terms);
      if (isDone) logger.info({ decky: name }, `a clean-up was done later: ${sentence}`);
      else await keep();
    } catch (error) {
      await keep();
      throw error;
    }
  }
}
