/** What the work on an order needs, and the notes that it leaves: steps in memory, outcomes on disk. */

import type { LocalEngine } from '../engine/local-engine.ts';
import { assertImages, type DeckySpec } from '../fleet/compose.ts';
import type { DesiredDecky } from '../fleet/config.ts';
import { DeckhandError, ERROR_TEXT_LIMIT, errorText, isDeckhandError } from '../fleet/errors.ts';
import type { Semaphore } from '../lib/concurrency.ts';
import type { Logger } from '../lib/logger.ts';
import type { OwnNetwork } from './network.ts';
import { type DeckyRecord, hasEndedIn, noteOutcome, type OrderRecord, type Outcome, recordOf } from './state.ts';
import type { AgentStore } from './store.ts';

export interface Workbench {
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
  /** Something is there to be told to the master. */
  readonly reported: () => void;
}

/** One order in work. Aborting leaves it in the queue as it is; `cut` follows where calls of the engine take too long to end. */
export interface Job<T extends OrderRecord = OrderRecord> {
  readonly order: T;
  readonly bench: Workbench;
  readonly signal: AbortSignal;
  readonly cut: AbortSignal;
}

/** Key of a step that is about no single decky. No decky can have this name. */
export const WHOLE_ENGINE = 'the engine';

/** Writes an outcome down, with what it makes of the decky's versions, as one step; tells the master soon. Once per order. */
export async function note(
  job: Pick<Job, 'bench' | 'order'>,
  name: string,
  outcome: Outcome,
  versions: Partial<Pick<DeckyRecord, 'desired' | 'established' | 'cleanUp'>> = {},
): Promise<void> {
  if (hasEndedIn(job.bench.store.state, job.order, name)) return;
  await job.bench.store.record((state) => {
    Object.assign(recordOf(state, name), versions);
    noteOutcome(state, job.order, name, outcome, new Date());
  });
  tellOutcome(job, name, outcome);
}

/** An outcome is on disk: the log has it, and the master hears of it soon. */
export function tellOutcome(
  { bench, order }: Pick<Job, 'bench' | 'order'>,
  decky: string,
  { operation, status }: Outcome,
): void {
  bench.logger.info({ deployment_id: order.operation_id, decky, operation, status }, 'a decky’s outcome');
  bench.reported();
}

/** Says in the log why a try failed; what is about the whole engine names no decky. */
export const onRetry =
  ({ bench, order }: Job, decky?: string) =>
  (why: string, until: Date): void =>
    bench.logger.warn(
      { deployment_id: order.operation_id, ...(decky === undefined ? {} : { decky }), why, until },
      `a try failed and is repeated: ${why}`,
    );

/** The decky's containers, images resolved. Throws InvalidDecky and InvalidImage. */
export function specOf({ local }: Workbench, decky: DesiredDecky): DeckySpec {
  const [spec] = local.resolve([decky]).deckies;
  if (!spec) throw new DeckhandError('Internal', `No containers are described for decky ${decky.config.name}.`);
  assertImages(spec);
  return spec;
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
