/**
 * Brings deckies up on one engine, watches them, and falls back to the last good version after a failure. The worker's
 * activities and the agent both call this; they differ in who retries, which `Rollout` says.
 *
 * 1. The plan: which deckies differ, and which have to leave their address first.
 * 2. Up and watched.
 * 3. The fall back after a failure.
 * 4. Leaving a network for another one.
 * 5. The compose file, and what nobody needs any more.
 *
 * The decisions and the sentences that rows show are pure functions: `inTheWay`, `afterHealth`, `describeLastGood`,
 * `describeObservation`.
 */

import { assertImages, type DeckySpec } from '../fleet/compose.ts';
import type { DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { DECKY_STATE, type DeckyState } from '../fleet/lifecycle.ts';
import { retrying } from '../fleet/text.ts';
import { pauseFor } from '../lib/concurrency.ts';
import type { DeckyObservation, Health } from './engine.ts';
import type { LocalEngine } from './local-engine.ts';
import { type RetryPolicy, type Stepwise, withRetries } from './retry-policy.ts';

/** How one caller works on the engine. */
export interface Rollout {
  readonly local: LocalEngine;
  /** Once it is aborted, nothing new begins, and its reason is thrown. */
  readonly signal: AbortSignal;
  /** Hears each step, a short phrase for rows and screens. Secrets are still in it. */
  readonly note: (step: string) => void;
  /** Runs a piece of work on the engine: once, or again after errors that may pass. */
  readonly run: <T>(work: Stepwise<T>) => Promise<T>;
  /** While a decky is watched, whether errors that may pass are waited out. Otherwise they are thrown. */
  readonly waitsOutErrors: boolean;
}

/** For a caller that is retried as a whole, as Temporal's activities are. */
export const rolloutOnce = (local: LocalEngine, note: (step: string) => void, signal: AbortSignal): Rollout => ({
  local,
  signal,
  note,
  run: (work) => work(note, signal),
  waitsOutErrors: false,
});

/** For a caller that nobody retries: the agent. */
export const rolloutWithRetries = (local: LocalEngine, policy: RetryPolicy): Rollout => ({
  local,
  signal: policy.signal,
  note: policy.onStep,
  run: (work) => withRetries(work, policy),
  waitsOutErrors: true,
});

/** The decky's containers, images resolved. Throws InvalidDecky and InvalidImage. */
export function specOf({ resolve }: LocalEngine, decky: DesiredDecky): DeckySpec {
  const [spec] = resolve([decky]).deckies;
  if (!spec) throw new DeckhandError('Internal', `No containers are described for decky ${decky.config.name}.`);
  assertImages(spec);
  return spec;
}

// 1. The plan

/** `differs`: something must be done; `young`: as specified, but not up for long enough yet; `as specified`: nothing to do. */
export type Verdict = 'differs' | 'young' | 'as specified';

export interface RolloutPlan {
  /** By decky. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Deckies that differ and hold an address which another one needs: they go first. */
  readonly makeRoom: readonly string[];
}

/** Compares what runs with what should, by one listing. Changes nothing. */
export async function planRollout(
  { engine, resolve }: LocalEngine,
  deckies: readonly DesiredDecky[],
  minHealthyMs: number,
  signal: AbortSignal,
): Promise<RolloutPlan> {
  const specs = resolve(deckies).deckies;
  const seen = specs.length > 0 ? await engine.observe(specs, signal) : [];
  const verdictOf = async (spec: DeckySpec): Promise<Verdict> => {
    if (!seen.find(({ decky }) => decky === spec.decky)?.asSpecified) return 'differs';
    if (minHealthyMs === 0) return 'as specified';
    return (await engine.health(spec, minHealthyMs, signal)).status === 'healthy' ? 'as specified' : 'young';
  };
  const verdicts = new Map(await Promise.all(specs.map(async (spec) => [spec.decky, await verdictOf(spec)] as const)));
  const makeRoom = inTheWay(specs, seen).filter((name) => verdicts.get(name) === 'differs');
  return { verdicts, makeRoom };
}

/**
 * Deckies that hold an address which another one is to have, in the order of `seen`: a removal comes before the creation
 * that needs the address. A decky that keeps its address is in nobody's way.
 */
export function inTheWay(
  specs: readonly Pick<DeckySpec, 'decky' | 'keys' | 'services'>[],
  seen: readonly Pick<DeckyObservation, 'decky' | 'containers'>[],
): string[] {
  const owners = new Map(
    specs.flatMap(({ decky, keys, services }) =>
      Object.values(services[keys[0]]?.networks ?? {}).map(({ ipv4_address }) => [ipv4_address, decky] as const),
    ),
  );
  const isHolder = ({ decky, containers }: (typeof seen)[number]): boolean =>
    containers.some(({ ip }) => {
      const owner = ip === null ? undefined : owners.get(ip);
      return owner !== undefined && owner !== decky;
    });
  return [...new Set(seen.filter(isHolder).map(({ decky }) => decky))];
}

// 2. Up and watched

/** Returns when the containers were started; touches only what differs. */
export async function bringUp(rollout: Rollout, spec: DeckySpec, network: FleetNetwork): Promise<void> {
  const { engine } = rollout.local;
  await rollout.run((onProgress, signal) => engine.up(spec, network, { signal, onProgress }));
}

/** Removes the decky's containers. */
export async function takeDown(rollout: Rollout, name: string): Promise<void> {
  const { engine } = rollout.local;
  await rollout.run((onProgress, signal) => engine.down(name, { signal, onProgress }));
}

export interface WatchTiming {
  readonly minHealthyMs: number;
  /** What is left of the deadline, in milliseconds. The health is asked for at least once. */
  readonly leftMs: number;
  /** Between two questions while it is too young. The first one finds early crashes. */
  readonly everyMs?: number;
}

const WATCH_EVERY_MS = 1_000;
const SHORTEST_PAUSE_MS = 50;

/** Resolves when the containers ran long enough. Throws ContainerExited or HealthyDeadline, with the evidence. */
export async function watch(rollout: Rollout, spec: DeckySpec, timing: WatchTiming): Promise<void> {
  const { minHealthyMs, leftMs, everyMs = WATCH_EVERY_MS } = timing;
  const { local, signal, note } = rollout;
  const deadline = performance.now() + leftMs;
  const isLate = (): boolean => performance.now() >= deadline;
  for (;;) {
    const health = await local.engine.health(spec, minHealthyMs, signal).catch((error: unknown): Health => {
      if (!rollout.waitsOutErrors || !isDeckhandError(error) || !error.retryable || isLate()) throw error;
      const until = new Date(Date.now() + deadline - performance.now());
      return { status: 'waiting', sentence: retrying(error.message, until), remainingMs: everyMs };
    });
    const next = afterHealth(health, isLate());
    if (next === 'done') return;
    if (next instanceof DeckhandError) throw next;
    note(next.sentence);
    await pauseFor(Math.max(SHORTEST_PAUSE_MS, Math.min(everyMs, next.remainingMs)), signal);
  }
}

/** What follows from an answer of the engine: the decky is up, has failed, or is asked about again. */
export function afterHealth(
  health: Health,
  isLate: boolean,
): 'done' | DeckhandError | Extract<Health, { status: 'waiting' }> {
  if (health.status === 'healthy') return 'done';
  if (health.status === 'failed') return new DeckhandError('ContainerExited', health.sentence);
  return isLate ? new DeckhandError('HealthyDeadline', health.sentence) : health;
}

// 3. The fall back

/** The last good version has to run this long: one whose services exit at once is not back. It was healthy before. */
const LAST_GOOD_WATCH: WatchTiming = { minHealthyMs: 2_000, leftMs: 15_000, everyMs: 500 };
/** The longest account of what was seen, in a row's text. */
const ACCOUNT_LENGTH = 200;

export interface Failed {
  readonly name: string;
  /** Null where nothing is to run. */
  readonly network: FleetNetwork | null;
  /** The last good version; null where there is none. */
  readonly established: DesiredDecky | null;
}

/** What became of a decky after a failure. */
export interface Aftermath {
  readonly sentence: string;
  readonly seen: DeckyState;
  /** False where it has to be done again. */
  readonly isDone: boolean;
}

/** After a failure: the last good version comes back, or what never came up goes. What is said of it was observed. */
export const fallBack = (rollout: Rollout, { name, network, established }: Failed): Promise<Aftermath> =>
  established && network ? restore(rollout, network, established) : remove(rollout, name);

async function remove(rollout: Rollout, name: string): Promise<Aftermath> {
  await takeDown(rollout, name);
  const left = await rollout.run((_, signal) => rollout.local.engine.deckies(signal));
  return left.includes(name)
    ? { sentence: 'a container of it is still there', seen: DECKY_STATE.degraded, isDone: false }
    : { sentence: 'what had been started was removed', seen: DECKY_STATE.failed, isDone: true };
}

async function restore(rollout: Rollout, network: FleetNetwork, established: DesiredDecky): Promise<Aftermath> {
  const spec = specOf(rollout.local, established);
  await bringUp(rollout, spec, network);
  try {
    await watch(rollout, spec, LAST_GOOD_WATCH);
  } catch (error) {
    rollout.signal.throwIfAborted();
    if (!isDeckhandError(error) || error.retryable) throw error;
    return { ...describeLastGood(established, { illness: error.message }), isDone: true };
  }
  const [seen] = await rollout.run((_, signal) => rollout.local.engine.observe([spec], signal));
  return { ...describeLastGood(established, { differences: seen?.differences ?? [] }), isDone: true };
}

/** `illness`: why it does not run; `differences`: it runs, and is not as it was. */
export function describeLastGood(
  { stopped }: Pick<DesiredDecky, 'stopped'>,
  { illness, differences = [] }: { readonly illness?: string; readonly differences?: readonly string[] },
): Pick<Aftermath, 'sentence' | 'seen'> {
  if (illness !== undefined)
    return {
      sentence: `the last good version was started, and does not run: ${account(illness)}`,
      seen: DECKY_STATE.degraded,
    };
  if (differences.length > 0)
    return {
      sentence: `the last good version was started, and is not as it was: ${account(differences.join('; '))}`,
      seen: DECKY_STATE.degraded,
    };
  if (stopped) return { sentence: 'the last good version is stopped again', seen: DECKY_STATE.stopped };
  return { sentence: 'the last good version is back', seen: DECKY_STATE.running };
}

/** Without a log: the log of the version that failed is the evidence, and there is room for one. */
function account(text: string): string {
  const [withoutLog = ''] = text.split(/\. (?:Last lines of its log:|It wrote no log\.)/);
  const [line = ''] = withoutLog.split('\n');
  return line.slice(0, ACCOUNT_LENGTH);
}

/** Of a decky that is left as it is: what was observed, as a row's aftermath. */
export function describeObservation(
  { asSpecified, containers, differences }: DeckyObservation,
  stopped: boolean,
): Pick<Aftermath, 'sentence' | 'seen'> {
  if (asSpecified && stopped)
    return { sentence: 'the engine says that none of its containers runs', seen: DECKY_STATE.stopped };
  if (asSpecified)
    return {
      sentence: 'the engine says that its containers run as specified; they were left running',
      seen: DECKY_STATE.running,
    };
  if (containers.length === 0)
    return { sentence: 'the engine says that it has no container', seen: DECKY_STATE.failed };
  return { sentence: `the engine says: ${differences.join(', ')}`, seen: DECKY_STATE.degraded };
}

// 4. Another network

export interface LeaveOptions {
  /** Whether the wanted network is tried out before anything is taken down. False where the caller has done so. */
  readonly tryFirst: boolean;
  /** Called where the wanted network could not be made after all. `left`: the one that was there. */
  readonly giveUp: (left: FleetNetwork, error: unknown) => Promise<void>;
}

/** Takes down what hangs on another network than the wanted one, and makes the wanted one. Safe to repeat. */
export async function leaveNetwork(rollout: Rollout, wanted: FleetNetwork, options: LeaveOptions): Promise<void> {
  const { engine } = rollout.local;
  const leaving: { begun: boolean; left: FleetNetwork | null } = { begun: false, left: null };
  try {
    await rollout.run(async (note, signal) => {
      const other = await engine.otherNetwork(wanted, signal);
      if (other) {
        leaving.begun = true;
        leaving.left = other.present ?? leaving.left;
        note('leaving the old network');
        if (options.tryFirst) await engine.tryNetwork(wanted, signal);
        await downAll(rollout, await engine.deckies(signal), { note, signal });
        await engine.removeNetworkIfUnused(signal);
      }
      // A retry finds that the old one is gone, and still has to make the new one.
      if (leaving.begun) await engine.ensureNetwork(wanted, { signal, onProgress: note });
    });
  } catch (error) {
    rollout.signal.throwIfAborted();
    if (leaving.left) await options.giveUp(leaving.left, error);
    throw error;
  }
}

/** Waits for all before it throws the first error, so that nothing is left running behind a retry. */
async function downAll(
  { local }: Rollout,
  names: readonly string[],
  { note, signal }: { note: (step: string) => void; signal: AbortSignal },
): Promise<void> {
  const downs = names.map((name) => local.engine.down(name, { signal, onProgress: note }));
  for (const result of await Promise.allSettled(downs)) if (result.status === 'rejected') throw result.reason;
}

// 5. Afterwards

/** Writes the compose file of these deckies, for an operator to take over. */
export async function writeDocument({ engine, resolve }: LocalEngine, deckies: readonly DesiredDecky[]): Promise<void> {
  await engine.writeDocument(resolve(deckies).document);
}

/** The file says what is left, and a network that nobody needs goes. True where it went. */
export async function tidy(local: LocalEngine, left: readonly DesiredDecky[], signal: AbortSignal): Promise<boolean> {
  await writeDocument(local, left);
  return left.length === 0 && (await local.engine.removeNetworkIfUnused(signal));
}
