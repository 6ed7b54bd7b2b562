/** What workflows ask of the master's own engine: engine/rollout.ts does it, and rows, workflows and Temporal hear of it here. */
import { ApplicationFailure, activityInfo, Context, log } from '@temporalio/activity';
import type { HostMember } from '../adapters/postgres/fleet.ts';
import type { LocalEngine } from '../engine/local-engine.ts';
import {
  type Aftermath,
  bringUp,
  describeObservation,
  fallBack,
  leaveNetwork,
  planRollout,
  type Rollout,
  rolloutOnce,
  specOf,
  takeDown,
  tidy,
  type Verdict,
  watch,
  writeDocument,
} from '../engine/rollout.ts';
import type { DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { type DeckyState, LOCAL_HOST, OPERATION, type Operation } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS, type RolloutOptions } from '../fleet/limits.ts';
import type { OpenRow } from '../fleet/rows.ts';
import { alive } from './alive.ts';
import { EVERY_DECKY, Exclusive } from './exclusive.ts';
import { toFailure, withFailures } from './failures.ts';
import type { ProgressNotes } from './progress-notes.ts';
import { Retries } from './retries.ts';

export interface LocalWork {
  readonly lifecycleId: string;
  readonly deckyName: string;
  readonly operation: Operation;
  readonly verdict: Verdict;
}

export interface LocalPlan {
  readonly work: readonly LocalWork[];
  /** Deckies of the plan that hold an address which another one needs: they go first. */
  readonly makeRoom: readonly string[];
  readonly options: Pick<RolloutOptions, 'minHealthyTimeMs' | 'healthyDeadlineMs' | 'progressDeadlineMs'>;
}

export interface ComposeStore {
  openRows(workflowId: string): Promise<OpenRow[]>;
  hostMembers(hostUuid: string): Promise<HostMember[]>;
  hostMember(hostUuid: string, name: string): Promise<HostMember | null>;
  network(): Promise<FleetNetwork | null>;
  /** The fleet's network is `kept` again, unless it has become another than `given` since. */
  keepNetwork(kept: FleetNetwork, given: FleetNetwork): Promise<void>;
  options(operationId: string): Promise<RolloutOptions | null>;
  /** Its clean-up is still to be done, and no operation works on it. */
  isCleanUpPending(deckyName: string): Promise<boolean>;
  cleanedUp(deckyName: string, seen: DeckyState): Promise<void>;
}

export interface ComposeDependencies extends LocalEngine {
  readonly store: ComposeStore;
  readonly notes: ProgressNotes;
  /** Tells a workflow why something that it waits for is retried. */
  readonly tellTrouble: (workflowId: string, text: string) => Promise<void>;
}

interface ObservedDecky {
  readonly deckyName: string;
  readonly sentence: string;
  readonly seen: DeckyState;
}

interface DeckyInput {
  readonly deckyName: string;
  readonly lifecycleId: string;
}

export interface ComposeActivities {
  /** Compares what runs with what should, for the open rows of a workflow, and writes the compose file. */
  planLocal(input: { workflowId: string }): Promise<LocalPlan>;
  /** `healthy`: with min_healthy_time 0 the containers run, so that nothing is left to wait for. */
  composeUp(input: DeckyInput & { minHealthyTimeMs?: number }): Promise<{ healthy: boolean }>;
  /** Resolves when the containers ran `minHealthyTimeMs`; throws ContainerExited or HealthyDeadline with the evidence. */
  awaitHealthy(input: DeckyInput & { minHealthyTimeMs: number; healthyDeadlineMs: number }): Promise<void>;
  composeDown(input: DeckyInput): Promise<void>;
  /** After a failure: the last good version comes back, or what never came up goes. */
  composeDiscard(input: DeckyInput): Promise<{ sentence: string; seen: DeckyState }>;
  /** A {@link composeDiscard} that did not work before; false: not now, or no more. Whoever works on the decky comes first. */
  cleanUpLater(input: { deckyName: string }): Promise<boolean>;
  /** What the engine says of these deckies right now. */
  sightDeckies(input: { deckyNames: readonly string[] }): Promise<ObservedDecky[]>;
  /** Where the fleet moves to another network: takes down what hangs on the old one. Safe to repeat. */
  leaveNetwork(): Promise<void>;
  /** Writes the compose file for what should run now, and removes a network that nobody needs. */
  tidyEngine(): Promise<void>;
}

type DeckyWork<T> = (found: HostMember, rollout: Rollout) => Promise<T>;
type Work<T> = (step: (text: string) => void, signal: AbortSignal) => Promise<T>;

export function createComposeActivities(deps: ComposeDependencies): ComposeActivities {
  const { engine, store, notes } = deps;
  const exclusive = new Exclusive();
  const retries = new Retries();

  async function member(deckyName: string): Promise<HostMember> {
    const found = await store.hostMember(LOCAL_HOST, deckyName);
    if (!found) throw new DeckhandError('NotFound', `Decky ${deckyName} is not in the fleet any more.`);
    return found;
  }

  async function network(): Promise<FleetNetwork> {
    const found = await store.network();
    if (!found) throw new DeckhandError('NetworkConflict', 'The fleet has no network: its settings row is missing.');
    return found;
  }

  /** Runs engine work on one decky. No other activity changes this decky meanwhile. A watch changes it too: it starts what was ended from outside. */
  const alone = <T>(input: DeckyInput, work: DeckyWork<T>): Promise<T> =>
    exclusive.take(input.deckyName, async (signal) => {
      const found = await member(input.deckyName);
      return toldToRow(
        input,
        versionsOf(found),
        (step, within) => work(found, rolloutOnce(deps, step, within)),
        signal,
      );
    });

  /** Tells the row each step and each retry, and keeps the secrets of these versions out of both. */
  async function toldToRow<T>(
    { lifecycleId }: DeckyInput,
    versions: readonly DesiredDecky[],
    work: Work<T>,
    given: AbortSignal,
  ): Promise<T> {
    const { attempt } = activityInfo();
    let latest = '';
    try {
      return await alive(async (beat, signal) => {
        const step = (text: string): void => {
          latest = deps.cutSecrets(text, versions);
          beat(latest);
          notes.note(lifecycleId, retries.step(latest), attempt);
        };
        const result = await work(step, signal);
        retries.forget();
        return result;
      }, given);
    } catch (error) {
      const failure = toFailure(error, (text) => deps.cutSecrets(text, versions));
      tellRetry(failure, [lifecycleId], latest);
      throw failure;
    }
  }

  /** Where another attempt follows the one that failed, the rows and the workflow hear why. */
  function tellRetry(failure: unknown, lifecycleIds: readonly string[], latest: string): void {
    const info = activityInfo();
    const isLast = !(failure instanceof ApplicationFailure) || failure.nonRetryable;
    if (isLast || Context.current().cancellationSignal.aborted) {
      retries.forget();
      return;
    }
    const tells = retries.note(failure.message);
    const text = retries.step(latest || 'trying again');
    for (const id of lifecycleIds) notes.note(id, text, info.attempt);
    const workflowId = info.workflowExecution?.workflowId;
    if (tells && workflowId) void deps.tellTrouble(workflowId, text).catch(() => undefined);
  }

  /** As {@link planLocal}. A retry is told to all rows of the workflow. */
  async function planAndTell(workflowId: string, signal: AbortSignal): Promise<LocalPlan> {
    try {
      const plan = await planLocal(workflowId, signal);
      retries.forget();
      return plan;
    } catch (error) {
      const failure = toFailure(error);
      const rows = await store.openRows(workflowId).catch(() => []);
      const ids = rows.map(({ lifecycleId }) => lifecycleId);
      tellRetry(failure, ids, 'comparing what runs with what should');
      throw failure;
    }
  }

  async function planLocal(workflowId: string, signal: AbortSignal): Promise<LocalPlan> {
    const rows = await store.openRows(workflowId);
    const options = (await store.options(rows[0]?.deploymentId ?? '')) ?? ROLLOUT_DEFAULTS;
    const { minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs } = options;
    const isLeaving = (row: OpenRow): boolean => row.operation === OPERATION.teardown;
    const leaving = new Set(rows.filter(isLeaving).map((row) => row.deckyName));
    const coming = new Set(rows.filter((row) => !isLeaving(row)).map((row) => row.deckyName));
    await writeDocument(deps, await wanted(leaving, coming));
    const members = (await store.hostMembers(LOCAL_HOST)).filter((one) => coming.has(nameOf(one)));
    const plan = await planRollout(
      deps,
      members.map(({ desired }) => desired),
      minHealthyTimeMs,
      signal,
    );
    const work = rows.map(({ lifecycleId, deckyName, operation }): LocalWork => {
      const verdict = plan.verdicts.get(deckyName) ?? 'differs';
      return { lifecycleId, deckyName, operation, verdict };
    });
    return { work, makeRoom: plan.makeRoom, options: { minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs } };
  }

  /** What should run: what came up once or is on its way, without what is being taken down. */
  async function wanted(leaving: ReadonlySet<string>, coming: ReadonlySet<string>): Promise<DesiredDecky[]> {
    const members = await store.hostMembers(LOCAL_HOST);
    return members
      .filter((one) => !leaving.has(nameOf(one)) && (one.established !== null || coming.has(nameOf(one))))
      .map(({ desired }) => desired);
  }

  /** An orphan, which is not in the fleet, goes all the same. */
  async function down(input: DeckyInput, signal: AbortSignal): Promise<void> {
    const found = await store.hostMember(LOCAL_HOST, input.deckyName);
    const versions = found ? versionsOf(found) : [];
    const work: Work<void> = (step, within) => takeDown(rolloutOnce(deps, step, within), input.deckyName);
    await toldToRow(input, versions, work, signal);
  }

  async function discard(found: HostMember, rollout: Rollout): Promise<Omit<Aftermath, 'isDone'>> {
    const { established } = found;
    const fallenBack = { name: nameOf(found), established, network: established && (await network()) };
    const { isDone, ...aftermath } = await fallBack(rollout, fallenBack);
    if (!isDone) throw new DeckhandError('EngineBusy', aftermath.sentence);
    return aftermath;
  }

  const cleanUpLater = (deckyName: string, given: AbortSignal): Promise<boolean> =>
    alive(async (step, signal) => {
      if (!(await store.isCleanUpPending(deckyName))) return false;
      const found = await member(deckyName);
      const cut = (text: string): string => deps.cutSecrets(text, versionsOf(found));
      try {
        const { sentence, seen } = await discard(
          found,
          rolloutOnce(deps, (text) => step(cut(text)), signal),
        );
        await store.cleanedUp(deckyName, seen);
        log.info(`a clean-up was done later: ${cut(sentence)}`, { decky: deckyName });
        return true;
      } catch (error) {
        throw toFailure(error, cut);
      }
    }, given);

  async function moveNetwork(rollout: Rollout): Promise<void> {
    const given = await network();
    await leaveNetwork(rollout, given, {
      tryFirst: true,
      // The fleet goes back to the old network with what ran on it, and the next deploy begins there.
      giveUp: async (left, error) => {
        if (isDeckhandError(error) && !error.retryable) await store.keepNetwork(left, given);
      },
    });
  }

  async function observe(deckyNames: readonly string[], signal: AbortSignal): Promise<ObservedDecky[]> {
    const members = (await store.hostMembers(LOCAL_HOST)).filter((one) => deckyNames.includes(nameOf(one)));
    const seen = await engine.observe(deps.resolve(members.map((one) => one.desired)).deckies, signal);
    const stopped = new Set(members.filter((one) => one.desired.stopped).map(nameOf));
    return seen.map((one) => ({ deckyName: one.decky, ...describeObservation(one, stopped.has(one.decky)) }));
  }

  return withFailures<ComposeActivities>({
    planLocal: ({ workflowId }) => alive((_step, signal) => planAndTell(workflowId, signal)),
    composeUp: (input) =>
      alone(input, async ({ desired }, rollout) => {
        const spec = specOf(deps, desired);
        await bringUp(rollout, spec, await network());
        // A failure is left to awaitHealthy, which has the deadline and the evidence.
        const health = input.minHealthyTimeMs === 0 ? await engine.health(spec, 0, rollout.signal) : null;
        return { healthy: health?.status === 'healthy' };
      }),
    awaitHealthy: (input) =>
      alone(input, async ({ desired }, rollout) => {
        const leftMs = activityInfo().scheduledTimestampMs + input.healthyDeadlineMs - Date.now();
        await watch(rollout, specOf(deps, desired), { minHealthyMs: input.minHealthyTimeMs, leftMs });
      }),
    composeDown: (input) => exclusive.take(input.deckyName, (signal) => down(input, signal)),
    composeDiscard: (input) => alone(input, discard),
    cleanUpLater: async ({ deckyName }) => {
      const work = (signal: AbortSignal): Promise<boolean> => cleanUpLater(deckyName, signal);
      return (await exclusive.takeIfFree(deckyName, work)) ?? false;
    },
    sightDeckies: ({ deckyNames }) => alive((_step, signal) => observe(deckyNames, signal)),
    leaveNetwork: () =>
      exclusive.take(EVERY_DECKY, (signal) =>
        alive((step, within) => moveNetwork(rolloutOnce(deps, step, within)), signal),
      ),
    tidyEngine: () =>
      alive(async (_step, signal) => {
        await tidy(deps, await wanted(new Set(), new Set()), signal);
      }),
  });
}

const nameOf = ({ desired }: HostMember): string => desired.config.name;

const versionsOf = ({ desired, established }: HostMember): DesiredDecky[] =>
  established ? [desired, established] : [desired];
