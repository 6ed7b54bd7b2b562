/**
 * What all orders of the agent share.
 *
 * 1. `AgentContext` and `Job`: what the work needs.
 * 2. Outcomes: on disk first, then in the log, then on their way to the master.
 * 3. Steps on the engine that are about the host as a whole.
 */
import type { LocalEngine } from '../engine/local-engine.ts';
import { type RetryPolicy, withRetries } from '../engine/retry-policy.ts';
import { specOf, tidy as tidyEngine, writeDocument } from '../engine/rollout.ts';
import type { DesiredDecky } from '../fleet/config.ts';
import { ERROR_TEXT_LIMIT, errorText, isDeckhandError } from '../fleet/errors.ts';
import type { Semaphore } from '../lib/concurrency.ts';
import type { Logger } from '../lib/logger.ts';
import type { OwnNetwork } from './network.ts';
import {
  type AgentStore,
  type DeckyRecord,
  hasEndedIn,
  noteOutcome,
  type OrderRecord,
  type Outcome,
  recordOf,
} from './state.ts';

export interface AgentContext {
  readonly local: LocalEngine;
  readonly store: AgentStore;
  /** Of the resolved document, as it stands in `/status`. */
  readonly composePath: string;
  readonly logger: Logger;
  /** Changes of deckies at one time. */
  readonly window: Semaphore;
  /** By decky: what is being done, one phrase. */
  readonly steps: Map<string, string>;
  /** Throws NetworkConflict. */
  readonly network: (ipvlan: boolean) => Promise<OwnNetwork>;
  /** Called when there is something to tell to the master. */
  readonly reported: () => void;
}

/**
 * One order in work. `signal` stops new steps and leaves the order in the queue as it is. `abort` follows it where calls
 * of the engine take too long to end, and aborts them too.
 */
export interface Job<T extends OrderRecord = OrderRecord> {
  readonly order: T;
  readonly context: AgentContext;
  readonly signal: AbortSignal;
  readonly abort: AbortSignal;
}

/** Key of a step that is about no single decky. No decky can have this name. */
export const WHOLE_ENGINE = 'the engine';

// Outcomes

/** Writes an outcome down, with what it makes of the decky's versions, as one step; tells the master soon. Once per order. */
export async function note(
  job: Pick<Job, 'context' | 'order'>,
  name: string,
  outcome: Outcome,
  versions: Partial<Pick<DeckyRecord, 'desired' | 'established' | 'cleanUp'>> = {},
): Promise<void> {
  if (hasEndedIn(job.context.store.state, job.order, name)) return;
  await job.context.store.record((state) => {
    Object.assign(recordOf(state, name), versions);
    noteOutcome(state, job.order, name, outcome, new Date());
  });
  tellOutcome(job, name, outcome);
}

/** An outcome is on disk: the log has it, and the master hears of it soon. */
export function tellOutcome(
  { context, order }: Pick<Job, 'context' | 'order'>,
  decky: string,
  { operation, status }: Outcome,
): void {
  context.logger.info({ deployment_id: order.operation_id, decky, operation, status }, 'a decky’s outcome');
  context.reported();
}

/** A row's text for what was thrown; what became of the decky stands behind it where it fits. */
export function failureText(error: unknown, aftermath: string | null): string {
  const text = isDeckhandError(error)
    ? errorText(error.code, error.message)
    : errorText('Internal', error instanceof Error ? error.message : String(error));
  const whole = aftermath === null ? text : `${text} (${aftermath})`;
  return whole.length <= ERROR_TEXT_LIMIT ? whole : text;
}

/** Waits for all, then throws the first that is no outcome of a decky: aborted, or not foreseen. */
export async function all(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}

// Steps about the host as a whole

/** Says in the log why a try failed; what is about the whole engine names no decky. */
export const onRetry =
  ({ context, order }: Job, decky?: string) =>
  (why: string, until: Date): void =>
    context.logger.warn(
      { deployment_id: order.operation_id, ...(decky === undefined ? {} : { decky }), why, until },
      `a try failed and is repeated: ${why}`,
    );

export const hostPolicy = (job: Job, progressDeadlineMs: number): RetryPolicy => ({
  progressDeadlineMs,
  signal: job.signal,
  abort: job.abort,
  onStep: (text: string): void => void job.context.steps.set(WHOLE_ENGINE, text),
  onRetry: onRetry(job),
});

/** Deckies that have containers, or should have. An engine that does not answer is left to the work on each decky. */
export async function presentDeckies(job: Job, progressDeadlineMs: number): Promise<string[]> {
  const { local, store, steps } = job.context;
  const known = Object.entries(store.state.deckies).flatMap(([name, { desired, established }]) =>
    desired || established ? [name] : [],
  );
  try {
    const seen = await withRetries((_, signal) => local.engine.deckies(signal), hostPolicy(job, progressDeadlineMs));
    return [...new Set([...seen, ...known])];
  } catch {
    job.signal.throwIfAborted();
    return known;
  } finally {
    steps.delete(WHOLE_ENGINE);
  }
}

/** The compose file of what should run, before anything is touched. A disk that is full is waited for. */
export const writeWanted = ({ context, ...job }: Job, progressDeadlineMs: number): Promise<void> =>
  withRetries(
    () => writeDocument(context.local, wanted(context)),
    hostPolicy({ context, ...job }, progressDeadlineMs),
  ).finally(() => context.steps.delete(WHOLE_ENGINE));

/** After the work: the file says what was kept, and a network that nobody needs goes. A failure here fails no decky. */
export async function tidy({ context, signal }: Job): Promise<void> {
  try {
    if (!(await tidyEngine(context.local, wanted(context), signal))) return;
    await context.store.record((state) => {
      state.network = null;
    });
  } catch (error) {
    signal.throwIfAborted();
    context.logger.warn({ err: error }, 'could not tidy up');
  }
}

/** A decky that can't be described is missing here, and fails on its own. */
const wanted = ({ local, store }: AgentContext): DesiredDecky[] =>
  Object.values(store.state.deckies).flatMap(({ desired }) =>
    desired && isDescribable(local, desired) ? desired : [],
  );

export function isDescribable(local: LocalEngine, decky: DesiredDecky): boolean {
  try {
    specOf(local, decky);
    return true;
  } catch {
    return false;
  }
}
