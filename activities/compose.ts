/** What workflows ask of the master's own Docker Engine. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, activityInfo, Context, log } from '@temporalio/activity';
import type { HostMember } from '../adapters/postgres/fleet.ts';
import type { DeckyObservation, Health } from '../engine/engine.ts';
import type { LocalEngine } from '../engine/local-engine.ts';
import { assertImages, type DeckySpec } from '../fleet/compose.ts';
import type { DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { DECKY_STATE, type DeckyState, LOCAL_HOST, OPERATION, type Operation } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS, type RolloutOptions } from '../fleet/limits.ts';
import { heldAddresses, inTheWay, wantedAddress } from '../fleet/make-room.ts';
import type { OpenRow } from '../fleet/rows.ts';
import { alive } from './alive.ts';
import { toFailure, withFailures } from './failures.ts';
import type { ProgressNotes } from './progress-notes.ts';
import { Retries } from './retries.ts';
import { EVERY_DECKY, Turns } from './turns.ts';

/** `differs`: something must be done; `young`: as specified, but not up for min_healthy_time yet; `as specified`: nothing to do. */
export interface LocalWork {
  readonly lifecycleId: string;
  readonly deckyName: string;
  readonly operation: Operation;
  readonly verdict: 'differs' | 'young' | 'as specified';
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
  owesCleanUp(deckyName: string): Promise<boolean>;
  cleanedUp(deckyName: string, seen: DeckyState): Promise<void>;
}

export interface ComposeDependencies extends LocalEngine {
  readonly store: ComposeStore;
  readonly notes: ProgressNotes;
  /** Tells a workflow why something that it waits for is retried. */
  readonly tellTrouble: (workflowId: string, text: string) => Promise<void>;
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
  sightDeckies(input: {
    deckyNames: readonly string[];
  }): Promise<{ deckyName: string; sentence: string; seen: DeckyState }[]>;
  /** Where the fleet moves to another network: takes down what hangs on the old one. Safe to repeat. */
  leaveNetwork(): Promise<void>;
  /** Writes the compose file for what should run now, and removes a network that nobody needs. */
  tidyEngine(): Promise<void>;
}

type DeckyWork<T> = (found: HostMember, step: (text: string) => void, signal: AbortSignal) => Promise<T>;

/** How long the last good version has to run before it is told as running; it was healthy before. */
const LAST_GOOD_MS = 2_000;
const LAST_GOOD_DEADLINE_MS = 20_000;
/** Between two looks at a decky that is too young; early crashes are seen by the first. */
const LOOK_MS = 1_000;

export function createComposeActivities(deps: ComposeDependencies): ComposeActivities {
  const { engine, store, resolve, notes } = deps;
  const turns = new Turns();
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

  function specOf(decky: DesiredDecky): DeckySpec {
    const [spec] = resolve([decky]).deckies;
    if (!spec) throw new DeckhandError('Internal', `No containers are described for decky ${decky.config.name}.`);
    assertImages(spec);
    return spec;
  }

  /** Runs engine work on one decky, tells its steps, and keeps its secrets out of what is thrown. */
  async function onDecky<T>(input: DeckyInput, work: DeckyWork<T>, given?: AbortSignal): Promise<T> {
    const found = await member(input.deckyName);
    const versions = [found.desired, ...(found.established ? [found.established] : [])];
    return onContainers(input, versions, (step, signal) => work(found, step, signal), given);
  }

  /** As onDecky, for work that changes something: nobody else does so to this decky meanwhile. A watch brings back what was ended from outside. */
  const alone = <T>(input: DeckyInput, work: DeckyWork<T>): Promise<T> =>
    turns.take(input.deckyName, (signal) => onDecky(input, work, signal));

  async function onContainers<T>(
    { lifecycleId }: DeckyInput,
    versions: readonly DesiredDecky[],
    work: (step: (text: string) => void, signal: AbortSignal) => Promise<T>,
    given?: AbortSignal,
  ): Promise<T> {
    const { attempt } = activityInfo();
    let latest = '';
    try {
      return await alive(async (beat, signal) => {
        const step = (text: string): void => {
          const clean = deps.cutSecrets(text, versions);
          latest = clean;
          beat(clean);
          notes.note(lifecycleId, retries.step(clean), attempt);
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

  /** Before an attempt that failed is followed by another: the rows and the workflow hear why. */
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

  /** As planLocal, which is about all rows of the workflow. */
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

  /** What should run: what came up once or is on its way, without what is being taken down. */
  async function writeDocument(leaving: ReadonlySet<string>, coming: ReadonlySet<string>): Promise<number> {
    const members = await store.hostMembers(LOCAL_HOST);
    const wanted = members.filter(
      ({ desired, established }) =>
        !leaving.has(desired.config.name) && (established !== null || coming.has(desired.config.name)),
    );
    await engine.writeDocument(resolve(wanted.map((one) => one.desired)).document);
    return wanted.length;
  }

  async function verdictOf(
    sight: DeckyObservation | undefined,
    spec: DeckySpec,
    minHealthyMs: number,
    signal: AbortSignal,
  ): Promise<LocalWork['verdict']> {
    if (!sight?.asSpecified) return 'differs';
    if (minHealthyMs === 0) return 'as specified';
    return (await engine.health(spec, minHealthyMs, signal)).status === 'healthy' ? 'as specified' : 'young';
  }

  async function planLocal(workflowId: string, signal: AbortSignal): Promise<LocalPlan> {
    const rows = await store.openRows(workflowId);
    const options = (await store.options(rows[0]?.deploymentId ?? '')) ?? ROLLOUT_DEFAULTS;
    const named = (wanted: boolean): Set<string> =>
      new Set(rows.filter((row) => (row.operation === OPERATION.teardown) !== wanted).map((row) => row.deckyName));
    const [leaving, coming] = [named(false), named(true)];
    await writeDocument(leaving, coming);
    const members = (await store.hostMembers(LOCAL_HOST)).filter(({ desired }) => coming.has(desired.config.name));
    const specs = resolve(members.map((one) => one.desired)).deckies;
    const sights = specs.length > 0 ? await engine.observe(specs, signal) : [];
    const verdicts = await Promise.all(
      specs.map(
        async (spec) =>
          [
            spec.decky,
            await verdictOf(
              sights.find((one) => one.decky === spec.decky),
              spec,
              options.minHealthyTimeMs,
              signal,
            ),
          ] as const,
      ),
    );
    const verdict = new Map(verdicts);
    const work = rows.map(({ lifecycleId, deckyName, operation }) => ({
      lifecycleId,
      deckyName,
      operation,
      verdict: verdict.get(deckyName) ?? ('differs' as const),
    }));
    const { minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs } = options;
    const makeRoom = inTheWay(specs.flatMap(wantedAddress), sights.flatMap(heldAddresses)).filter(
      (name) => verdict.get(name) === 'differs',
    );
    return { work, makeRoom, options: { minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs } };
  }

  async function leaveNetwork(step: (text: string) => void, signal: AbortSignal): Promise<void> {
    const wanted = await network();
    const other = await engine.otherNetwork(wanted, signal);
    if (!other) return;
    step('leaving the old network');
    try {
      await engine.tryNetwork(wanted, signal);
      const names = await engine.deckies(signal);
      await Promise.all(names.map((decky) => engine.down(decky, { signal, onProgress: step })));
      await engine.removeNetworkIfUnused(signal);
      await engine.ensureNetwork(wanted, { signal, onProgress: step });
    } catch (error) {
      // A network that can't be made is the fleet's no more: what ran is brought back to the old one, and the next deploy begins there.
      if (other.present && isDeckhandError(error) && !error.retryable) await store.keepNetwork(other.present, wanted);
      throw error;
    }
  }

  return withFailures<ComposeActivities>({
    planLocal: ({ workflowId }) => alive((_step, signal) => planAndTell(workflowId, signal)),
    composeUp: (input) =>
      alone(input, async ({ desired }, onProgress, signal) => {
        const spec = specOf(desired);
        await engine.up(spec, await network(), { signal, onProgress });
        // A failure is left to awaitHealthy, which has the deadline and the evidence.
        const look = input.minHealthyTimeMs === 0 ? await engine.health(spec, 0, signal) : null;
        return { healthy: look?.status === 'healthy' };
      }),
    awaitHealthy: (input) =>
      alone(input, async ({ desired }, onProgress, signal) => {
        const deadline = Context.current().info.scheduledTimestampMs + input.healthyDeadlineMs;
        await watchHealth(specOf(desired), { minHealthyMs: input.minHealthyTimeMs, deadline, onProgress, signal });
      }),
    composeDown: (input) => turns.take(input.deckyName, (signal) => takeDown(input, signal)),
    composeDiscard: (input) => alone(input, discard),
    cleanUpLater: async ({ deckyName }) => {
      const work = (signal: AbortSignal): Promise<boolean> => cleanUpLater(deckyName, signal);
      return (await turns.takeIfFree(deckyName, work)) ?? false;
    },
    sightDeckies: ({ deckyNames }) => alive((_step, signal) => sight(deckyNames, signal)),
    leaveNetwork: () => turns.take(EVERY_DECKY, (signal) => alive(leaveNetwork, signal)),
    tidyEngine: () =>
      alive(async (_step, signal) => {
        if ((await writeDocument(new Set(), new Set())) === 0) await engine.removeNetworkIfUnused(signal);
      }),
  });

  async function discard(
    { desired, established }: HostMember,
    onProgress: (step: string) => void,
    signal: AbortSignal,
  ): Promise<{ sentence: string; seen: DeckyState }> {
    if (established) return backToLastGood(established, onProgress, signal);
    await engine.down(desired.config.name, { signal, onProgress });
    return { sentence: 'what had been started was removed', seen: DECKY_STATE.failed };
  }

  async function cleanUpLater(deckyName: string, given: AbortSignal): Promise<boolean> {
    return alive(async (step, signal) => {
      if (!(await store.owesCleanUp(deckyName))) return false;
      const found = await member(deckyName);
      const versions = [found.desired, ...(found.established ? [found.established] : [])];
      const cut = (text: string): string => deps.cutSecrets(text, versions);
      try {
        const { sentence, seen } = await discard(found, (text) => step(cut(text)), signal);
        await store.cleanedUp(deckyName, seen);
        log.info(`a clean-up was done later: ${cut(sentence)}`, { decky: deckyName });
        return true;
      } catch (error) {
        throw toFailure(error, cut);
      }
    }, given);
  }

  async function takeDown(input: DeckyInput, given: AbortSignal): Promise<void> {
    // One that is not in the fleet is an orphan, which goes all the same.
    const found = await store.hostMember(LOCAL_HOST, input.deckyName);
    const versions = [found?.desired, found?.established].flatMap((version) => version ?? []);
    const down = async (onProgress: (step: string) => void, signal: AbortSignal): Promise<void> => {
      await engine.down(input.deckyName, { signal, onProgress });
    };
    await onContainers(input, versions, down, given);
  }

  /** It came up once, but much may have happened since: what is told of it is what was seen. */
  async function backToLastGood(
    established: DesiredDecky,
    onProgress: (step: string) => void,
    signal: AbortSignal,
  ): Promise<{ sentence: string; seen: DeckyState }> {
    const spec = specOf(established);
    await engine.up(spec, await network(), { signal, onProgress });
    try {
      const deadline = Date.now() + LAST_GOOD_DEADLINE_MS;
      await watchHealth(spec, { minHealthyMs: LAST_GOOD_MS, deadline, onProgress, signal });
    } catch (error) {
      if (!isDeckhandError(error) || error.retryable || signal.aborted) throw error;
      // The log of the version that failed is the evidence; there is room for one.
      const what = error.message.split(/\. (?:Last lines of its log:|It wrote no log\.)/)[0];
      return { sentence: `the last good version was started, and does not run: ${what}`, seen: DECKY_STATE.degraded };
    }
    if (established.stopped) return { sentence: 'the last good version is stopped again', seen: DECKY_STATE.stopped };
    return { sentence: 'the last good version is back', seen: DECKY_STATE.running };
  }

  async function watchHealth(
    spec: DeckySpec,
    {
      minHealthyMs,
      deadline,
      onProgress,
      signal,
    }: { minHealthyMs: number; deadline: number; onProgress: (step: string) => void; signal: AbortSignal },
  ): Promise<void> {
    for (;;) {
      const health: Health = await engine.health(spec, minHealthyMs, signal);
      if (health.status === 'healthy') return;
      if (health.status === 'failed') throw new DeckhandError('ContainerExited', health.sentence);
      if (Date.now() >= deadline) throw new DeckhandError('HealthyDeadline', health.sentence);
      onProgress(health.sentence);
      const pauseMs = Math.max(50, Math.min(LOOK_MS, health.remainingMs));
      await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  async function sight(
    deckyNames: readonly string[],
    signal: AbortSignal,
  ): ReturnType<ComposeActivities['sightDeckies']> {
    const members = (await store.hostMembers(LOCAL_HOST)).filter(({ desired }) =>
      deckyNames.includes(desired.config.name),
    );
    const seen = await engine.observe(resolve(members.map((one) => one.desired)).deckies, signal);
    const stopped = new Set(members.filter((one) => one.desired.stopped).map((one) => one.desired.config.name));
    return seen.map((one) => ({ deckyName: one.decky, ...describeSight(one, stopped.has(one.decky)) }));
  }
}

function describeSight(
  { asSpecified, containers, differences }: DeckyObservation,
  stopped: boolean,
): { sentence: string; seen: DeckyState } {
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
