/** After a failure: the last good version comes back, or what never came up goes. What is said of it was looked at. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Health } from '../engine/engine.ts';
import type { DeckySpec } from '../fleet/compose.ts';
import type { DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { isDeckhandError } from '../fleet/errors.ts';
import { DECKY_STATE, type DeckyState } from '../fleet/lifecycle.ts';
import { type Patience, patiently } from './patience.ts';
import { specOf, type Workbench } from './workbench.ts';

/** How long the way back may go without progress. */
const CLEAN_UP_MS = 60_000;
/** A version that is back has to run this long: one whose services are cut off, or exit at once, is not back. */
const SETTLE_MS = 2_000;
/** Until then it is looked at. */
const SETTLE_LIMIT_MS = 15_000;
const LOOK_MS = 500;
/** Of what was seen, in a row's text. */
const WORDS = 200;

export interface WayBack {
  readonly name: string;
  /** Null where nothing is to run. */
  readonly network: FleetNetwork | null;
  /** Null: nothing of it is to run. */
  readonly established: DesiredDecky | null;
}

export interface Aftermath {
  readonly sentence: string;
  readonly seen: DeckyState;
  /** False where it has to be done again: the engine was away, or the disk is full. */
  readonly isDone: boolean;
}

type Terms = Omit<Patience, 'progressDeadlineMs'>;

/** Throws only when aborted. */
export async function wayBack(bench: Workbench, work: WayBack, terms: Terms): Promise<Aftermath> {
  try {
    return await (work.established && work.network
      ? bringBack(bench, work.network, work.established, terms)
      : remove(bench, work.name, terms));
  } catch (error) {
    terms.signal.throwIfAborted();
    bench.logger.warn({ decky: work.name, err: error }, 'a clean-up did not work; it is tried again later');
    return {
      sentence: 'cleaning up did not work either; it is tried again later',
      seen: DECKY_STATE.degraded,
      isDone: false,
    };
  }
}

async function remove({ local }: Workbench, name: string, terms: Terms): Promise<Aftermath> {
  const { engine } = local;
  const patience = { ...terms, progressDeadlineMs: CLEAN_UP_MS };
  await patiently((onProgress, signal) => engine.down(name, { signal, onProgress }), patience);
  const left = await patiently((_, signal) => engine.deckies(signal), patience);
  return left.includes(name)
    ? { sentence: 'a container of it is still there', seen: DECKY_STATE.degraded, isDone: false }
    : { sentence: 'what had been started was removed', seen: DECKY_STATE.failed, isDone: true };
}

async function bringBack(
  bench: Workbench,
  network: FleetNetwork,
  established: DesiredDecky,
  terms: Terms,
): Promise<Aftermath> {
  const { engine } = bench.local;
  const spec = specOf(bench, established);
  const patience = { ...terms, progressDeadlineMs: CLEAN_UP_MS };
  await patiently((onProgress, signal) => engine.up(spec, network, { signal, onProgress }), patience);
  const health = await settled(bench, spec, terms.signal);
  if (health.status !== 'healthy')
    return {
      sentence: `the last good version was started, and does not run: ${short(health.sentence)}`,
      seen: DECKY_STATE.degraded,
      isDone: true,
    };
  const [seen] = await patiently((_, signal) => engine.observe([spec], signal), patience);
  if (seen && !seen.asSpecified)
    return {
      sentence: `the last good version was started, and is not as it was: ${short(seen.differences.join('; '))}`,
      seen: DECKY_STATE.degraded,
      isDone: true,
    };
  return {
    sentence: 'the last good version is back',
    seen: established.stopped ? DECKY_STATE.stopped : DECKY_STATE.running,
    isDone: true,
  };
}

/** The first line: the log of a container is not about this failure. */
const short = (text: string): string => (text.split('\n')[0] ?? '').slice(0, WORDS);

/** Looks until it has run for a while, or does not. Throws what no look cures. */
async function settled({ local }: Workbench, spec: DeckySpec, signal: AbortSignal): Promise<Health> {
  const until = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const health = await local.engine.health(spec, SETTLE_MS, signal).catch((error: unknown): Health => {
      if (!isDeckhandError(error) || !error.retryable || performance.now() >= until) throw error;
      return { status: 'waiting', sentence: error.message, remainingMs: LOOK_MS };
    });
    if (health.status !== 'waiting' || performance.now() >= until) return health;
    await sleep(Math.max(50, Math.min(LOOK_MS, health.remainingMs)), undefined, { signal });
  }
}
