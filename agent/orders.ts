/**
 * The three kinds of orders, each on the host as a whole: deploy, mutate, teardown. Every step may be repeated after a kill:
 * what has ended in the order stays ended. At the end: how an order is given up without a call of the engine.
 */
import { withRetries } from '../engine/retry-policy.ts';
import { bringUp as bringUpOnEngine, inTheWay, leaveNetwork, rolloutWithRetries, specOf } from '../engine/rollout.ts';
import type { DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { DECKY_STATE, hasEnded, OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import {
  type AgentContext,
  all,
  failureText,
  hostPolicy,
  isDescribable,
  type Job,
  note,
  presentDeckies,
  tidy,
  writeWanted,
} from './context.ts';
import { bringUp, clearAway, takeDown, takeDownReported } from './decky-work.ts';
import { type OwnNetwork, relocalize } from './network.ts';
import {
  type AgentState,
  ALONE_AFTER,
  type DeployOrderRecord,
  deathsAt,
  hasEndedIn,
  knownRecord,
  type MutateOrderRecord,
  type OrderRecord,
  recordOf,
  type TeardownOrderRecord,
} from './state.ts';

// Deploy: the host's whole set

export async function deploy(job: Job<DeployOrderRecord>): Promise<void> {
  try {
    await deploySet(job);
  } catch (error) {
    job.signal.throwIfAborted();
    job.context.logger.error({ err: error }, 'a deploy broke off');
    await failDeckies(job, failureText(error, null));
  }
}

async function deploySet(job: Job<DeployOrderRecord>): Promise<void> {
  const { order, context } = job;
  const { progressDeadlineMs } = order.timing;
  const { engine } = context.local;
  const policy = hostPolicy(job, progressDeadlineMs);
  let network: FleetNetwork;
  try {
    // An engine that stays away is waited for once, not for every step and decky again.
    await withRetries((_, signal) => engine.ping(signal), policy);
    // What the order removes goes, also where the network for what it brings can't be told or made.
    await removeOthers(job);
    const own = await context.network(order.config.ipvlan);
    await withRetries((_, signal) => engine.tryNetwork(own.network, signal), policy);
    const laidOut = await layOut(job, own);
    ({ network } = laidOut);
    for (const name of laidOut.exhausted) await failExhausted(job, name, network.subnet);
    const rollout = rolloutWithRetries(context.local, policy);
    await leaveNetwork(rollout, network, { tryFirst: false, giveUp: (left) => bringBack(job, left) });
  } catch (error) {
    job.signal.throwIfAborted();
    return failDeckies(job, failureText(error, 'nothing was changed'));
  }
  await writeWanted(job, progressDeadlineMs);
  await makeRoom(job);
  const { state } = context.store;
  const bring = async (name: string): Promise<void> => {
    const desired = knownRecord(state, name)?.desired;
    const reported = order.deploy.includes(name);
    if (desired)
      await bringUp(job, { name, desired, network, operation: OPERATION.deploy, timing: order.timing, reported });
  };
  const names = order.config.deckies.map(({ name }) => name);
  const suspects = names.filter((name) => deathsAt(state, order, name) >= ALONE_AFTER);
  await all(names.filter((name) => !suspects.includes(name)).map(bring));
  // The agent died with these in work: one at a time, so that the innocent ones come up and the other one is found out.
  for (const name of suspects) await bring(name);
  const unknown = order.deploy.filter((name) => !order.config.deckies.some((decky) => decky.name === name));
  for (const name of unknown)
    await failDecky(job, name, failureText(new DeckhandError('NotFound', 'The order does not describe it.'), null));
  await tidy(job);
}

/** What is not in the set goes, before what comes needs its name or address. */
async function removeOthers(job: Job<DeployOrderRecord>): Promise<void> {
  const { order, context } = job;
  const { progressDeadlineMs } = order.timing;
  const wanted = new Set(order.config.deckies.map(({ name }) => name));
  const there = await presentDeckies(job, progressDeadlineMs);
  const reported = order.remove.filter((name) => !wanted.has(name));
  const unreported = there.filter((name) => !wanted.has(name) && !reported.includes(name));
  await all([
    ...reported.map((name) => takeDownReported(job, name, progressDeadlineMs)),
    ...unreported.map(async (name) => {
      const error = await takeDown(job, name, progressDeadlineMs);
      if (error !== null) context.logger.warn({ decky: name, err: failureText(error, null) }, 'a decky did not go');
      else await context.store.record((state) => forgetUnended(state, name));
    }),
  ]);
}

/** An earlier attempt was about it, and its operation wants it no more: nobody ends what it was doing. */
function forgetUnended(state: AgentState, name: string): void {
  const last = knownRecord(state, name)?.last;
  if (last && !hasEnded(last.status)) delete state.deckies[name];
}

/** Writes down what should run, with this host's addresses, before anything is touched. */
async function layOut(
  { order, context }: Job<DeployOrderRecord>,
  own: OwnNetwork,
): Promise<{ network: FleetNetwork; exhausted: readonly string[] }> {
  const { state } = context.store;
  const { addresses, exhausted } = relocalize(order.config.deckies, order.config.subnet, own, addressesOf(state));
  await context.store.record(() => {
    state.network = own.network;
    state.mode = order.config.mode;
    for (const config of order.config.deckies) {
      const ip = addresses.get(config.name);
      // After a restart: what has failed in this order has got its last good version back.
      if (ip === undefined || hasEndedIn(state, order, config.name)) continue;
      const custom_services = Object.hasOwn(order.custom_services, config.name)
        ? order.custom_services[config.name]
        : undefined;
      recordOf(state, config.name).desired = {
        config: { ...config, ip },
        custom_services: custom_services ?? [],
        ...(order.stopped?.includes(config.name) ? { stopped: true } : {}),
      };
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

function failExhausted(job: Job<DeployOrderRecord>, name: string, subnet: string): Promise<void> {
  const why = `The subnet ${subnet} of this host has no free address left for it.`;
  return failDecky(job, name, failureText(new DeckhandError('PoolExhausted', why), null));
}

/** The wanted network could not be made: what came up last comes back on the old one. What fails here is drift, which is told and mended. */
async function bringBack(job: Job<DeployOrderRecord>, network: FleetNetwork): Promise<void> {
  const { context, signal, order } = job;
  await context.store.record((state) => {
    state.network = network;
    for (const record of Object.values(state.deckies)) record.desired = record.established;
  });
  const specs = Object.values(context.store.state.deckies).flatMap(({ established }) =>
    established ? [specOf(context.local, established)] : [],
  );
  const rollout = rolloutWithRetries(context.local, hostPolicy(job, order.timing.progressDeadlineMs));
  const results = await Promise.allSettled(specs.map((spec) => bringUpOnEngine(rollout, spec, network)));
  signal.throwIfAborted();
  for (const result of results)
    if (result.status === 'rejected') context.logger.warn({ err: result.reason }, 'a decky could not be brought back');
}

/** Deckies that change addresses: each leaves its own before another one takes it. What fails here fails again with its decky. */
async function makeRoom(job: Job<DeployOrderRecord>): Promise<void> {
  const { order, context, signal } = job;
  const { local, store } = context;
  const desired = order.config.deckies.flatMap(({ name }) => knownRecord(store.state, name)?.desired ?? []);
  try {
    const specs = desired.filter((decky) => isDescribable(local, decky)).map((decky) => specOf(local, decky));
    const moving = inTheWay(specs, await local.engine.observe(specs, signal));
    await all(moving.map((name) => clearAway(job, name, order.timing.progressDeadlineMs)));
  } catch (error) {
    signal.throwIfAborted();
    context.logger.warn({ err: error }, 'could not make room for addresses');
  }
}

// Mutate: one decky with other services

export async function mutate(job: Job<MutateOrderRecord>): Promise<void> {
  const { decky_id: name } = job.order;
  try {
    await mutateDecky(job, name);
  } catch (error) {
    job.signal.throwIfAborted();
    job.context.logger.error({ err: error, decky: name }, 'a mutation broke off');
    await note(job, name, {
      operation: OPERATION.mutate,
      status: STATUS.failed,
      error: failureText(error, null),
      seen: DECKY_STATE.degraded,
    });
  }
}

async function mutateDecky(job: Job<MutateOrderRecord>, name: string): Promise<void> {
  const { order, context } = job;
  const { services, timing } = order;
  const operation = OPERATION.mutate;
  const { state } = context.store;
  const record = knownRecord(state, name);
  const present = record?.established ?? record?.desired;
  if (!record || !present || !state.network) {
    const error = failureText(new DeckhandError('NotFound', `This host has no decky ${name}.`), null);
    return note(job, name, { operation, status: STATUS.failed, error, seen: DECKY_STATE.failed });
  }
  const desired: DesiredDecky = {
    config: { ...present.config, services, last_mutated: Date.parse(order.accepted_at) / 1_000 },
    custom_services: order.custom_services ?? present.custom_services,
  };
  await context.store.record(() => {
    // After a restart: what has failed in this order has got its last good version back.
    if (!hasEndedIn(state, order, name)) record.desired = desired;
  });
  await writeWanted(job, timing.progressDeadlineMs);
  await bringUp(job, { name, desired, network: state.network, operation, timing, reported: true });
  await tidy(job);
}

// Teardown: one decky, or everything and the network

/** Throws what kept a decky from going: the answer to the master is the report. */
export async function teardown(job: Job<TeardownOrderRecord>): Promise<void> {
  const { order, context } = job;
  const { progressDeadlineMs } = ROLLOUT_DEFAULTS;
  const names = order.decky_id === null ? await presentDeckies(job, progressDeadlineMs) : [order.decky_id];
  const errors = await Promise.all(names.map((name) => takeDown(job, name, progressDeadlineMs)));
  await context.store.record((state) => {
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

// Giving up: what is open of an order ends as failed, and the engine is left alone

export async function giveUp(context: AgentContext, order: OrderRecord, failure: unknown): Promise<void> {
  const error = failureText(failure, null);
  if (order.kind === 'deploy') await failDeckies({ context, order }, error);
  else if (order.kind === 'mutate') await failUp({ context, order }, order.decky_id, error);
}

type Given<T extends OrderRecord> = Pick<Job<T>, 'context' | 'order'>;

const failDeckies = (given: Given<DeployOrderRecord>, error: string): Promise<void> =>
  all([...given.order.deploy, ...given.order.remove].map((name) => failDecky(given, name, error)));

/** One of the order's deckies; of another one nothing is reported. */
async function failDecky({ context, order }: Given<DeployOrderRecord>, name: string, error: string): Promise<void> {
  if (order.remove.includes(name)) {
    const operation = OPERATION.teardown;
    const seen = DECKY_STATE.teardownFailed;
    await note({ context, order }, name, { operation, status: STATUS.failed, error, seen });
  } else if (order.deploy.includes(name)) await failUp({ context, order }, name, error);
}

/** The last good version is what should run again. */
async function failUp(
  { context, order }: Given<DeployOrderRecord | MutateOrderRecord>,
  name: string,
  error: string,
): Promise<void> {
  const established = knownRecord(context.store.state, name)?.established ?? null;
  const seen = established ? DECKY_STATE.degraded : DECKY_STATE.failed;
  const operation = order.kind === 'deploy' ? OPERATION.deploy : OPERATION.mutate;
  await note({ context, order }, name, { operation, status: STATUS.failed, error, seen }, { desired: established });
}
