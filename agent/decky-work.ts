/** One decky on this host's engine, from the start of its work to its outcome. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeckySpec } from '../fleet/compose.ts';
import type { DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { retrying } from '../fleet/host-observation.ts';
import { DECKY_STATE, hasEnded, OPERATION, type Operation, STATUS } from '../fleet/lifecycle.ts';
import { type Attempt, beginAttempt } from './attempt.ts';
import { type Patience, patiently } from './patience.ts';
import { type AgentState, type DeckyRecord, hasEndedIn, knownRecord, recordOf, type Timing } from './state.ts';
import { DEATHS, deathsAt } from './under-way.ts';
import { type Aftermath, wayBack } from './way-back.ts';
import { failureText, type Job, note, onRetry, specOf } from './workbench.ts';

/** Between two looks at a decky that is too young; early crashes are seen by the first. */
const LOOK_MS = 1_000;

export interface BringUp {
  readonly name: string;
  readonly desired: DesiredDecky;
  readonly network: FleetNetwork;
  readonly operation: Exclude<Operation, 'teardown'>;
  readonly timing: Timing;
  /** False for a decky that only has to stay as it is: nobody waits for a report on it. */
  readonly reported: boolean;
}

/** Who hears of steps and failed tries: secrets are cut out before. */
type Heard = Required<Pick<Patience, 'onStep' | 'onRetry'>>;

/** Brings a decky up, or back to its last good version, and notes how it ended. Throws only when aborted. */
export async function bringUp(job: Job, work: BringUp): Promise<void> {
  const { name, operation, desired } = work;
  if (work.reported && hasEndedIn(job.bench.store.state, job.order, name)) return;
  const { established } = recordOf(job.bench.store.state, name);
  const cut = (text: string): string =>
    job.bench.local.cutSecrets(text, established ? [desired, established] : [desired]);
  const heard: Heard = {
    onStep: (text) => void job.bench.steps.set(name, cut(text)),
    onRetry: (why, until) => onRetry(job, name)(cut(why), until),
  };
  try {
    await startAndWatch(job, work, heard);
    const versions = { desired, established: desired };
    if (!work.reported) return await job.bench.store.record((state) => stayed(recordOf(state, name), versions));
    const seen = desired.stopped ? DECKY_STATE.stopped : DECKY_STATE.running;
    const outcome = { operation, status: STATUS.succeeded, error: null, seen };
    await note(job, name, outcome, versions);
  } catch (error) {
    job.signal.throwIfAborted();
    job.bench.logger.warn({ decky: name, err: cut(failureText(error, null)) }, 'a decky did not come up');
    if (!work.reported) return;
    const lastGood = established && whereItCanBe(job.bench.store.state, established, desired);
    const aftermath = await discard(job, work, lastGood, heard);
    const outcome = {
      operation,
      status: STATUS.failed,
      error: cut(failureText(error, aftermath.sentence)),
      seen: aftermath.seen,
    };
    const versions = { desired: lastGood, established: lastGood };
    await note(job, name, outcome, { ...versions, ...(aftermath.isDone ? {} : { cleanUp: true }) });
  } finally {
    job.bench.steps.delete(name);
  }
}

/** The last good version of a decky that moved: at the address of the order, where by the same order its own is another's. */
function whereItCanBe({ deckies }: AgentState, established: DesiredDecky, { config }: DesiredDecky): DesiredDecky {
  const { ip } = established.config;
  const isTaken = Object.entries(deckies).some(
    ([name, { desired }]) => name !== config.name && desired?.config.ip === ip,
  );
  return isTaken ? { ...established, config: { ...established.config, ip: config.ip } } : established;
}

/** What an earlier attempt began with it, and was broken off, nobody ends any more. */
function stayed(record: DeckyRecord, versions: Pick<DeckyRecord, 'desired' | 'established'>): void {
  Object.assign(record, versions);
  delete record.work;
  if (record.last && !hasEnded(record.last.status)) record.last = null;
}

async function startAndWatch(job: Job, work: BringUp, heard: Heard): Promise<void> {
  const { bench, signal } = job;
  const { name, operation, timing, reported } = work;
  const spec = specOf(bench, work.desired);
  const release = await bench.window.acquire(signal);
  let attempt: Attempt;
  try {
    attempt = await beginAttempt(job, { name, timing, report: reported ? operation : null });
    refuseDeadly(job, name);
    await patiently((onProgress, within) => bench.local.engine.up(spec, work.network, { signal: within, onProgress }), {
      progressDeadlineMs: timing.progressDeadlineMs,
      signal,
      cut: job.cut,
      ...heard,
      memory: attempt.memory,
    });
  } finally {
    release();
  }
  // One that only has to stay as it is was healthy before; waiting for it would hold up what comes next.
  if (reported) await awaitHealthy(job, spec, timing, await attempt.healthyLeftMs(), heard);
}

/** Throws AgentDied for a decky that ended the agent again and again. */
function refuseDeadly({ bench, order }: Job, name: string): void {
  const deaths = deathsAt(bench.store.state, order, name);
  if (deaths >= DEATHS)
    throw new DeckhandError(
      'AgentDied',
      `the agent died ${deaths} times while it worked on this order, each time with this decky in work; look at its log`,
    );
}

/** `leftMs` of healthy_deadline are left. Throws ContainerExited or HealthyDeadline, with the evidence. */
async function awaitHealthy(
  { bench, signal }: Job,
  spec: DeckySpec,
  { minHealthyMs }: Timing,
  leftMs: number,
  { onStep }: Heard,
): Promise<void> {
  const deadline = performance.now() + leftMs;
  for (;;) {
    const health = await bench.local.engine.health(spec, minHealthyMs, signal).catch((error: unknown) => {
      if (!isDeckhandError(error) || !error.retryable || performance.now() >= deadline) throw error;
      const sentence = retrying(error.message, new Date(Date.now() + deadline - performance.now()));
      return { status: 'waiting' as const, sentence, remainingMs: LOOK_MS };
    });
    if (health.status === 'healthy') return;
    if (health.status === 'failed') throw new DeckhandError('ContainerExited', health.sentence);
    if (performance.now() >= deadline) throw new DeckhandError('HealthyDeadline', health.sentence);
    onStep(health.sentence);
    await sleep(Math.max(50, Math.min(LOOK_MS, health.remainingMs)), undefined, { signal });
  }
}

/** After a failure. Throws only when aborted. */
async function discard(
  job: Job,
  { name, network }: BringUp,
  established: DesiredDecky | null,
  heard: Heard,
): Promise<Aftermath> {
  const { bench, signal, cut } = job;
  // The clean-up itself may be what ends the agent.
  if (deathsAt(bench.store.state, job.order, name) > DEATHS)
    return { sentence: 'what the engine has of it was left as it is', seen: DECKY_STATE.degraded, isDone: true };
  return wayBack(bench, { name, network, established }, { signal, cut, ...heard });
}

/**
 * Removes a decky's containers; what the host knows of it stays, so that it can come up elsewhere. Resolves with the error, if
 * there was one; throws only when aborted.
 */
export async function clearAway(job: Job, name: string, progressDeadlineMs: number): Promise<unknown> {
  const { bench, signal } = job;
  const onStep = (text: string): void => void bench.steps.set(name, text);
  const release = await bench.window.acquire(signal);
  try {
    await patiently((onProgress, within) => bench.local.engine.down(name, { signal: within, onProgress }), {
      progressDeadlineMs,
      signal,
      cut: job.cut,
      onStep,
      onRetry: onRetry(job, name),
    });
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return error;
  } finally {
    release();
    bench.steps.delete(name);
  }
}

/** As {@link clearAway}, and forgets it. */
export async function takeDown(job: Job, name: string, progressDeadlineMs: number): Promise<unknown> {
  const error = await clearAway(job, name, progressDeadlineMs);
  if (error !== null) return error;
  await job.bench.store.record((state) => {
    const record = knownRecord(state, name);
    if (record) Object.assign(record, { desired: null, established: null });
  });
  return null;
}

/** As {@link takeDown}, with reports to the master. */
export async function takeDownReported(job: Job, name: string, progressDeadlineMs: number): Promise<void> {
  if (hasEndedIn(job.bench.store.state, job.order, name)) return;
  const operation = OPERATION.teardown;
  await beginAttempt(job, { name, timing: null, report: operation });
  const record = knownRecord(job.bench.store.state, name);
  const versions = [record?.desired, record?.established].flatMap((version) => version ?? []);
  const error = await takeDownAlive(job, name, progressDeadlineMs);
  if (error === null)
    return note(job, name, { operation, status: STATUS.succeeded, error: null, seen: DECKY_STATE.tornDown });
  const text = job.bench.local.cutSecrets(failureText(error, null), versions);
  await note(job, name, { operation, status: STATUS.failed, error: text, seen: DECKY_STATE.teardownFailed });
}

/** As {@link takeDown}; what ended the agent again and again is not tried any more. */
async function takeDownAlive(job: Job, name: string, progressDeadlineMs: number): Promise<unknown> {
  try {
    refuseDeadly(job, name);
  } catch (error) {
    return error;
  }
  return takeDown(job, name, progressDeadlineMs);
}
