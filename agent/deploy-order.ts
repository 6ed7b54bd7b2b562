/** A deploy: the host's whole set. Every step may be repeated after a kill: what has ended in the order stays ended. */
import type { DeckySpec } from '../fleet/compose.ts';
import type { FleetNetwork } from '../fleet/config.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { hasEnded, OPERATION } from '../fleet/lifecycle.ts';
import { heldAddresses, inTheWay, wantedAddress } from '../fleet/make-room.ts';
import { bringUp, clearAway, takeDown, takeDownReported } from './decky-work.ts';
import { failDeckies, failDecky } from './give-up.ts';
import { isDescribable, patience, presentDeckies, tidy, writeDocumentPatiently } from './host-steps.ts';
import type { OwnNetwork } from './network.ts';
import { patiently } from './patience.ts';
import { relocalize } from './relocalize.ts';
import { type AgentState, type DeployOrderRecord, hasEndedIn, knownRecord, recordOf } from './state.ts';
import { ALONE_AFTER, deathsAt } from './under-way.ts';
import { all, failureText, type Job, specOf } from './workbench.ts';

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
  const { progressDeadlineMs } = order.timing;
  let network: FleetNetwork;
  try {
    // An engine that stays away is waited for once, not for every step and decky anew.
    await patiently((_, signal) => bench.local.engine.ping(signal), patience(job, progressDeadlineMs));
    // What the order removes goes, also where the network for what it brings can't be told or made.
    await removeOthers(job);
    const own = await bench.network(order.config.ipvlan);
    await patiently(
      (_, signal) => bench.local.engine.tryNetwork(own.network, signal),
      patience(job, progressDeadlineMs),
    );
    const laidOut = await layOut(job, own);
    ({ network } = laidOut);
    for (const name of laidOut.exhausted) await failExhausted(job, name, network.subnet);
    await leaveOldNetwork(job, network);
  } catch (error) {
    job.signal.throwIfAborted();
    return failAll(job, error, 'nothing was changed');
  }
  await writeDocumentPatiently(job, progressDeadlineMs);
  await makeRoom(job);
  const { state } = bench.store;
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
    await failOne(job, name, new DeckhandError('NotFound', 'The order does not describe it.'), null);
  await tidy(job);
}

/** Deckies that change places: each leaves its address before anybody takes it. What fails here fails again with its decky. */
async function makeRoom(job: Job<DeployOrderRecord>): Promise<void> {
  const { order, bench, signal } = job;
  const desired = order.config.deckies.flatMap(({ name }) => knownRecord(bench.store.state, name)?.desired ?? []);
  try {
    const specs = desired.filter((decky) => isDescribable(bench, decky)).map((decky) => specOf(bench, decky));
    const seen = await bench.local.engine.observe(specs, signal);
    const moving = inTheWay(specs.flatMap(wantedAddress), seen.flatMap(heldAddresses));
    await all(moving.map((name) => clearAway(job, name, order.timing.progressDeadlineMs)));
  } catch (error) {
    signal.throwIfAborted();
    bench.logger.warn({ err: error }, 'could not make room for addresses');
  }
}

/** Writes down what should run, with this host's addresses, before anything is touched. */
async function layOut(
  { order, bench }: Job<DeployOrderRecord>,
  own: OwnNetwork,
): Promise<{ network: FleetNetwork; exhausted: readonly string[] }> {
  const { state } = bench.store;
  const { addresses, exhausted } = relocalize(order.config.deckies, order.config.subnet, own, addressesOf(state));
  await bench.store.record(() => {
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

const failExhausted = (job: Job<DeployOrderRecord>, name: string, subnet: string): Promise<void> =>
  failOne(
    job,
    name,
    new DeckhandError('PoolExhausted', `The subnet ${subnet} of this host has no free address left for it.`),
    null,
  );

const failOne = (
  { order, bench }: Job<DeployOrderRecord>,
  name: string,
  error: unknown,
  aftermath: string | null,
): Promise<void> => failDecky(bench, order, name, failureText(error, aftermath));

const failAll = (job: Job<DeployOrderRecord>, error: unknown, aftermath: string | null): Promise<void> =>
  failDeckies(job.bench, job.order, failureText(error, aftermath));

/**
 * Where the host's network has changed, everything that hangs on the old one goes first. Where the new one can't be made all
 * the same, the old one comes back with what ran on it.
 */
async function leaveOldNetwork(job: Job<DeployOrderRecord>, network: FleetNetwork): Promise<void> {
  const { engine } = job.bench.local;
  let before: FleetNetwork | null = null;
  try {
    await patiently(
      async (step, signal) => {
        const other = await engine.otherNetwork(network, signal);
        before = other?.present ?? before;
        if (other) {
          step('leaving the old network');
          await all((await engine.deckies(signal)).map((name) => engine.down(name, { signal, onProgress: step })));
          await engine.removeNetworkIfUnused(signal);
        }
        if (before) await engine.ensureNetwork(network, { signal, onProgress: step });
      },
      patience(job, job.order.timing.progressDeadlineMs),
    );
  } catch (error) {
    job.signal.throwIfAborted();
    if (before) await bringBack(job, before);
    throw error;
  }
}

/** What came up last, on the network that was there. What fails here is drift, which is told and mended. */
async function bringBack(job: Job<DeployOrderRecord>, network: FleetNetwork): Promise<void> {
  const { bench, signal, order } = job;
  const { engine } = bench.local;
  await bench.store.record((state) => {
    state.network = network;
    for (const record of Object.values(state.deckies)) record.desired = record.established;
  });
  const specs = Object.values(bench.store.state.deckies).flatMap(({ established }) =>
    established ? [specOf(bench, established)] : [],
  );
  const up = (spec: DeckySpec): Promise<unknown> =>
    patiently(
      (onProgress, within) => engine.up(spec, network, { signal: within, onProgress }),
      patience(job, order.timing.progressDeadlineMs),
    );
  const results = await Promise.allSettled(specs.map(up));
  signal.throwIfAborted();
  for (const result of results)
    if (result.status === 'rejected') bench.logger.warn({ err: result.reason }, 'a decky could not be brought back');
}

/** An earlier attempt was about it, and its operation wants it no more: nobody ends what it was doing. */
function forgetUnended(state: AgentState, name: string): void {
  const last = knownRecord(state, name)?.last;
  if (last && !hasEnded(last.status)) delete state.deckies[name];
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
      else await bench.store.record((state) => forgetUnended(state, name));
    }),
  ]);
}
