/** What the look at the master's own engine, and mending by the clock, ask of the world (docs/convergence.md). */
import { Context } from '@temporalio/activity';
import type { LocalEngine } from '../adapters/local-engine.ts';
import type { ConvergenceStore } from '../adapters/postgres/drift.ts';
import type { DeckySpec } from '../fleet/compose-types.ts';
import type { DesiredDecky } from '../fleet/config.ts';
import { compare, type EngineSight, mendPauseMs, type SeenDecky } from '../fleet/drift.ts';
import { isDeckhandError } from '../fleet/errors.ts';
import { LOCAL_HOST } from '../fleet/lifecycle.ts';
import { withFailures } from './failures.ts';

export interface EngineLook {
  readonly answered: boolean;
  /** Deckies that differ. */
  readonly drifting: number;
}

/** Of the machine that has the Docker Engine. */
export interface LookActivities {
  /** Compares what runs with what should and keeps the difference; an engine that does not answer makes it unknown. */
  lookAtEngine(): Promise<EngineLook>;
}

export interface ReconcileActivities {
  /** Stores a request for what drifts and is due for another try; false: nothing is. Safe to repeat. */
  storeReconcile(input: { operationId: string }): Promise<boolean>;
}

export interface ReconcileStore extends Pick<ConvergenceStore, 'mendable' | 'tries'> {
  /** Milliseconds; null: nothing is mended by the clock. */
  interval(): Promise<number | null>;
  request(input: { operationId: string; deckies: readonly string[] }): Promise<void>;
}

/** An engine that hangs is as good as away; the next look is a minute off. */
const LOOK_LIMIT_MS = 20_000;

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

  async function see(desired: readonly DesiredDecky[], signal: AbortSignal): Promise<EngineSight> {
    const specs = desired.flatMap(describe);
    try {
      const [seen, orphans] = await Promise.all([engine.look(specs, signal), engine.deckies(signal)]);
      const deckies = new Map(
        seen.map(({ decky, drift }): [string, SeenDecky] => [decky, { differences: drift, config: null, busy: false }]),
      );
      // A decky that can't be described any more was not compared.
      return { answered: true, deckies, orphans, complete: specs.length === desired.length };
    } catch (error) {
      if (isDeckhandError(error)) return { answered: false, why: error.message };
      if (signal.aborted && !Context.current().cancellationSignal.aborted)
        return { answered: false, why: `the engine gave no answer within ${LOOK_LIMIT_MS / 1_000} s` };
      throw error;
    }
  }

  return withFailures<LookActivities>({
    lookAtEngine: async () => {
      const lookedAt = await store.now();
      const wanted = await store.wanted(LOCAL_HOST);
      const signal = AbortSignal.any([Context.current().cancellationSignal, AbortSignal.timeout(LOOK_LIMIT_MS)]);
      const desired = wanted.filter(({ settled }) => settled).map((one) => one.desired);
      const comparison = compare(wanted, await see(desired, signal));
      await store.keep(LOCAL_HOST, comparison, lookedAt);
      if (!comparison.known) return { answered: false, drifting: 0 };
      return { answered: true, drifting: new Set(comparison.drift.map(({ decky }) => decky)).size };
    },
  });
}

export const createReconcileActivities = (store: ReconcileStore): ReconcileActivities =>
  withFailures<ReconcileActivities>({
    storeReconcile: async ({ operationId }) => {
      const interval = await store.interval();
      if (interval === null) return false;
      const names = (await store.mendable()).map((one) => one.decky_name);
      const tries = new Map((await store.tries(names)).map((one) => [one.name, one]));
      const due = names.filter((name) => {
        const { count = 0, ageMs = 0 } = tries.get(name) ?? {};
        return count === 0 || ageMs >= mendPauseMs(interval, count);
      });
      if (due.length === 0) return false;
      await store.request({ operationId, deckies: due });
      return true;
    },
  });
