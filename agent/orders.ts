/** What is done for each kind of order. Every step may be repeated after a kill: what has ended in the order stays ended. */
import type { DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { DECKY_STATE, OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import { bringUp, takeDown, takeDownReported } from './decky-work.ts';
import { patiently } from './patience.ts';
import { relocalize } from './relocalize.ts';
import {
  type AgentState,
  type DeployOrderRecord,
  hasEndedIn,
  type MutateOrderRecord,
  recordOf,
  type TeardownOrderRecord,
} from './state.ts';
import { all, failureText, type Job, note, WHOLE_ENGINE } from './workbench.ts';

export async function deploy(job: Job<DeployOrderRecord>): Promise<void> {
  try {
    await deploySet(job);
  } catch (error) {
    job.signal.throwIfAborted();
    job.bench.logger.error({ err: error }, 'a deploy broke off');
    await failAll(job, error, null);
  }
}

async function deploySet(job: Job<DeployOrderRecord>): Promise<void> {
  const { order, bench } = job;
  let network: FleetNetwork;
  try {
    const laidOut = await layOut(job);
    ({ network } = laidOut);
    for (const name of laidOut.exhausted) await failExhausted(job, name, network.subnet);
    await leaveOldNetwork(job, network);
  } catch (error) {
    job.signal.throwIfAborted();
    return failAll(job, error, 'nothing was changed');
  }
  await removeOthers(job);
  await writeDocument(job);
  const { state } = bench.store;
  await all(
    order.config.deckies.map(async ({ name }) => {
      const desired = state.deckies[name]?.desired;
      const reported = order.deploy.includes(name);
      if (desired)
        await bringUp(job, { name, desired, network, operation: OPERATION.deploy, timing: order.timing, reported });
    }),
  );
  const unknown = order.deploy.filter((name) => !order.config.deckies.some((decky) => decky.name === name));
  for (const name of unknown)
    await failOne(job, name, new DeckhandError('NotFound', 'The order does not describe it.'), null);
  await tidy(job);
}

/** Writes down what should run, with this host's addresses, before anything is touched. Throws NetworkConflict. */
async function layOut({
  order,
  bench,
}: Job<DeployOrderRecord>): Promise<{ network: FleetNetwork; exhausted: readonly string[] }> {
  const own = await bench.network(order.config.ipvlan);
  const { state } = bench.store;
  const { addresses, exhausted } = relocalize(order.config.deckies, order.config.subnet, own, addressesOf(state));
  await bench.store.record(() => {
    state.network = own.network;
    state.mode = order.config.mode;
    for (const config of order.config.deckies) {
      const ip = addresses.get(config.name);
      // After a restart: what has failed in this order has got its last good version back.
      if (ip === undefined || hasEndedIn(state, order, config.name)) continue;
      const custom_services = order.custom_services[config.name] ?? [];
      recordOf(state, config.name).desired = { config: { ...config, ip }, custom_services };
    }
  });
  return { network: own.network, exhausted };
}

const addressesOf = (state: AgentState): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(state.deckies).flatMap(([name, { desired, established }]) => {
      const ip = (desired ?? established)?.config.ip;
      return ip === undefined ? [] : [[name, ip] as const];
    }),
  );

const failExhausted = (job: Job<DeployOrderRecord>, name: string, subnet: string): Promise<void> =>
  failOne(
    job,
    name,
    new DeckhandError('PoolExhausted', `The subnet ${subnet} of this host has no free address left for it.`),
    null,
  );

async function failOne(
  job: Job<DeployOrderRecord>,
  name: string,
  error: unknown,
  aftermath: string | null,
): Promise<void> {
  const { order, bench } = job;
  const text = failureText(error, aftermath);
  if (order.remove.includes(name)) {
    await note(job, name, {
      operation: OPERATION.teardown,
      status: STATUS.failed,
      error: text,
      seen: DECKY_STATE.teardownFailed,
    });
  } else if (order.deploy.includes(name)) {
    const established = bench.store.state.deckies[name]?.established ?? null;
    const seen = established ? DECKY_STATE.degraded : DECKY_STATE.failed;
    const outcome = { operation: OPERATION.deploy, status: STATUS.failed, error: text, seen };
    await note(job, name, outcome, { desired: established });
  }
}

async function failAll(job: Job<DeployOrderRecord>, error: unknown, aftermath: string | null): Promise<void> {
  await all([...job.order.deploy, ...job.order.remove].map((name) => failOne(job, name, error, aftermath)));
}

const patience = (job: Job, progressDeadlineMs: number) => ({
  progressDeadlineMs,
  signal: job.signal,
  onStep: (text: string): void => void job.bench.steps.set(WHOLE_ENGINE, text),
});

/** Where the host's network has changed, everything that hangs on the old one goes first. */
async function leaveOldNetwork(job: Job<DeployOrderRecord>, network: FleetNetwork): Promise<void> {
  const { engine } = job.bench.local;
  await patiently(
    async (step, signal) => {
      if (!(await engine.networkDiffers(network, signal))) return;
      step('leaving the old network');
      await all((await engine.deckies(signal)).map((name) => engine.down(name, { signal, onProgress: step })));
      await engine.removeNetworkIfUnused(signal);
    },
    patience(job, job.order.timing.progressDeadlineMs),
  );
}

/** What is not in the set goes, before what comes needs its name or address. */
async function removeOthers(job: Job<DeployOrderRecord>): Promise<void> {
  const { order, bench } = job;
  const { progressDeadlineMs } = order.timing;
  const wanted = new Set(order.config.deckies.map(({ name }) => name));
  const there = await presentDeckies(job, progressDeadlineMs);
  const reported = order.remove.filter((name) => !wanted.has(name));
  const silent = there.filter((name) => !wanted.has(name) && !reported.includes(name));
  await all([
    ...reported.map((name) => takeDownReported(job, name, progressDeadlineMs)),
    ...silent.map(async (name) => {
      const error = await takeDown(job, name, progressDeadlineMs);
      if (error !== null) bench.logger.warn({ decky: name, err: failureText(error, null) }, 'a decky did not go');
    }),
  ]);
}

/** Deckies that have containers, or should have. An engine that does not answer is left to the work on each decky. */
async function presentDeckies(job: Job, progressDeadlineMs: number): Promise<string[]> {
  const { bench } = job;
  const known = Object.entries(bench.store.state.deckies).flatMap(([name, { desired, established }]) =>
    desired || established ? [name] : [],
  );
  try {
    const seen = await patiently((_, signal) => bench.local.engine.deckies(signal), patience(job, progressDeadlineMs));
    return [...new Set([...seen, ...known])];
  } catch {
    job.signal.throwIfAborted();
    return known;
  } finally {
    bench.steps.delete(WHOLE_ENGINE);
  }
}

/** The compose file of what should run. A decky that can't be described is missing there, and fails on its own. */
async function writeDocument({ bench }: Job): Promise<number> {
  const wanted = Object.values(bench.store.state.deckies).flatMap(({ desired }) => desired ?? []);
  const describable = wanted.filter((decky) => isDescribable(bench, decky));
  await bench.local.engine.writeDocument(bench.local.resolve(describable).document);
  return describable.length;
}

function isDescribable({ local }: Job['bench'], decky: DesiredDecky): boolean {
  try {
    local.resolve([decky]);
    return true;
  } catch {
    return false;
  }
}

/** After the work: the file says what was kept, and a network that nobody needs goes. A failure here fails no decky. */
async function tidy(job: Job): Promise<void> {
  const { bench, signal } = job;
  try {
    if ((await writeDocument(job)) > 0 || !(await bench.local.engine.removeNetworkIfUnused(signal))) return;
    await bench.store.record((state) => {
      state.network = null;
    });
  } catch (error) {
    signal.throwIfAborted();
    bench.logger.warn({ err: error }, 'could not tidy up');
  }
}

export async function mutate(job: Job<MutateOrderRecord>): Promise<void> {
  const { decky_id: name } = job.order;
  try {
    await mutateDecky(job, name);
  } catch (error) {
    job.signal.throwIfAborted();
    job.bench.logger.error({ err: error, decky: name }, 'a mutation broke off');
    const seen = DECKY_STATE.degraded;
    await note(job, name, {
      operation: OPERATION.mutate,
      status: STATUS.failed,
      error: failureText(error, null),
      seen,
    });
  }
}

async function mutateDecky(job: Job<MutateOrderRecord>, name: string): Promise<void> {
  const { order, bench } = job;
  const { services, timing } = order;
  const operation = OPERATION.mutate;
  const { state } = bench.store;
  const record = state.deckies[name];
  const present = record?.established ?? record?.desired;
  if (!record || !present || !state.network) {
    const error = new DeckhandError('NotFound', `This host has no decky ${name}.`);
    return note(job, name, {
      operation,
      status: STATUS.failed,
      error: failureText(error, null),
      seen: DECKY_STATE.failed,
    });
  }
  const desired: DesiredDecky = {
    config: { ...present.config, services, last_mutated: Date.parse(order.accepted_at) / 1_000 },
    custom_services: order.custom_services ?? present.custom_services,
  };
  await bench.store.record(() => {
    record.desired = desired;
  });
  await writeDocument(job);
  await bringUp(job, { name, desired, network: state.network, operation, timing, reported: true });
  await tidy(job);
}

/** Throws what kept a decky from going: the answer to the master is the report. */
export async function teardown(job: Job<TeardownOrderRecord>): Promise<void> {
  const { order, bench } = job;
  const { progressDeadlineMs } = ROLLOUT_DEFAULTS;
  const names = order.decky_id === null ? await presentDeckies(job, progressDeadlineMs) : [order.decky_id];
  const errors = await Promise.all(names.map((name) => takeDown(job, name, progressDeadlineMs)));
  await bench.store.record((state) => {
    names.forEach((name, at) => {
      if (errors[at] !== null) return;
      const { operation_id, attempt } = order;
      const outcome = {
        operation: OPERATION.teardown,
        status: STATUS.succeeded,
        error: null,
        seen: DECKY_STATE.tornDown,
      };
      recordOf(state, name).last = { operation_id, attempt, ...outcome, ended_at: new Date().toISOString() };
    });
  });
  await tidy(job);
  const failed = errors.find((error) => error !== null);
  if (failed !== undefined) throw failed;
}
