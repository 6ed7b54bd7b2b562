/** What observing the master's own engine, and the reconcile by the clock, ask of the world (docs/convergence.md). */
import { Context } from '@temporalio/activity';
import type { ConvergenceStore } from '../adapters/postgres/drift.ts';
import type { LocalEngine } from '../engine/local-engine.ts';
import type { DeckySpec } from '../fleet/compose.ts';
import type { DesiredDecky } from '../fleet/config.ts';
import { compare, type EngineObservation, mendPauseMs, type SeenDecky } from '../fleet/drift.ts';
import { isDeckhandError } from '../fleet/errors.ts';
import { type LookRound, roundMs } from '../fleet/housekeeping.ts';
import { LOCAL_HOST } from '../fleet/lifecycle.ts';
import { alive } from './alive.ts';
import { withFailures } from './failures.ts';

export interface EngineLook {
  readonly answered: boolean;
  /** Deckies that differ. */
  readonly drifting: number;
  /** Deckies whose clean-up after a failure is still to be done. */
  readonly owed: readonly string[];
}

/** Of the machine that has the Docker Engine. */
export interface LookActivities {
  /**
   * Compares what runs with what should and keeps the difference; an engine that does not answer makes it unknown. With a
   * round it observes several times, and returns the last observation.
   */
  lookAtEngine(round?: LookRound): Promise<EngineLook>;
}

export interface ReconcileActivities {
  /** Whether something drifts and is due for another try; never where nothing is mended by the clock. */
  reconcileIsDue(): Promise<boolean>;
  /** Stores a request for what drifts and is due for another try; false: nothing is. Safe to repeat. */
  storeReconcile(input: { operationId: string }): Promise<boolean>;
}

export interface ReconcileStore extends Pick<ConvergenceStore, 'mendable' | 'tries'> {
  /** Milliseconds; null: nothing is mended by the clock. */
  interval(): Promise<number | null>;
  request(input: { operationId: string; deckies: readonly string[] }): Promise<void>;
}

/** An engine that hangs is as good as away; the next observation is a minute off. */
const OBSERVE_LIMIT_MS = 20_000;

export function createLookActivities(deps: LocalEngine & { store: ConvergenceStore }): LookActivities {
  const { engine, resolve, store } = deps;

  function describe(desired: DesiredDecky): DeckySpec[] {
    try {
      return [...resolve([desired]).deckies];
    } catch (error) {
      if (isDeckhandError(error)) return [];
      throw error;
    }
  }

  async function observe(desired: readonly DesiredDecky[], signal: AbortSignal): Promise<EngineObservation> {
    const specs = desired.flatMap(describe);
    try {
      const [seen, orphans] = await Promise.all([engine.observeAndMend(specs, signal), engine.deckies(signal)]);
      const deckies = new Map(
        seen.map(({ decky, drift }): [string, SeenDecky] => [decky, { differences: drift, config: null, busy: false }]),
      );
      // A decky that can't be described any more was not compared.
      return { answered: true, deckies, orphans, complete: specs.length === desired.length };
    } catch (error) {
      if (isDeckhandError(error)) return { answered: false, why: error.message };
      if (signal.aborted && !Context.current().cancellationSignal.aborted)
        return { answered: false, why: `the engine gave no answer within ${OBSERVE_LIMIT_MS / 1_000} s` };
      throw error;
    }
  }

  async function observeOnce(): Promise<EngineLook> {
    const observedAt = await store.now();
    const wanted = await store.wanted(LOCAL_HOST);
    const signal = AbortSignal.any([Context.current().cancellationSignal, AbortSignal.timeout(OBSERVE_LIMIT_MS)]);
    const desired = wanted.filter(({ settled }) => settled).map((one) => one.desired);
    const comparison = compare(wanted, await observe(desired, signal));
    await store.keep(LOCAL_HOST, comparison, observedAt);
    if (!comparison.known) return { answered: false, drifting: 0, owed: [] };
    const drifting = new Set(comparison.drift.map(({ decky }) => decky)).size;
    return { answered: true, drifting, owed: await store.pendingCleanUps() };
  }

  return withFailures<LookActivities>({
    lookAtEngine: (round = { times: 1, everyMs: 0 }) =>
      alive(async () => {
        const start = Date.now();
        let seen = await observeOnce();
        // A slow engine is observed less often in the same time.
        for (let next = start + round.everyMs; next < start + roundMs(round); next += round.everyMs) {
          if (Date.now() >= next + round.everyMs) continue;
          await Context.current().sleep(Math.max(1, next - Date.now()));
          seen = await observeOnce();
        }
        return seen;
      }),
  });
}

export function createReconcileActivities(store: ReconcileStore): ReconcileActivities {
  /** Names of deckies. */
  async function due(): Promise<string[]> {
    const interval = await store.interval();
    if (interval === null) return [];
    const names = (await store.mendable()).map((one) => one.decky_name);
    const tries = new Map((await store.tries(names)).map((one) => [one.name, one]));
    return names.filter((name) => {
      const { count = 0, ageMs = 0 } = tries.get(name) ?? {};
      return count === 0 || ageMs >= mendPauseMs(interval, count);
    });
  }

  return withFailures<ReconcileActivities>({
    reconcileIsDue: async () => (await due()).length > 0,
    storeReconcile: async ({ operationId }) => {
      const deckies = await due();
      if (deckies.length === 0) return false;
      await store.request({ operationId, deckies });
      return true;
    },
  });
}
