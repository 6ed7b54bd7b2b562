/**
 * The fleet's one network on an engine.
 *
 * 1. The keeper: inspects it, makes it once for all who need it, replaces it when no container is on it.
 * 2. The plan, pure: what has to be done about it.
 * 3. What keeps a network from going.
 */
import type Docker from 'dockerode';
import { parseSubnet, type Subnet } from '../../fleet/addresses.ts';
import { type FleetNetwork, NETWORK_DRIVER } from '../../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import { assertNothingInTheWay, overlap } from '../../fleet/network.ts';
import { raceAbort, SingleFlight } from '../../lib/concurrency.ts';
import type { EngineScope, OperationOptions } from '../engine.ts';
import { engineNetworks, probeNameOf, readHostNetworks } from '../host-networks.ts';
import { LABEL, ownerInWords } from './create-options.ts';
import { CHANGE_TIMEOUT_MS, callEngine, engineStatus, isLocalEngine, READ_TIMEOUT_MS } from './transport.ts';

/** How long an inspection is good for: long enough for a fleet to share it, short enough to notice a change. */
const FRESH_MS = 10_000;
/** Another process may make the network between our inspection and our attempt. */
const TRIES = 3;

const toCurrent = (info: Docker.NetworkInspectInfo): CurrentNetwork => ({
  id: info.Id,
  driver: info.Driver,
  subnet: info.IPAM?.Config?.[0]?.Subnet ?? '',
  gateway: info.IPAM?.Config?.[0]?.Gateway ?? '',
  parent: info.Options?.parent ?? '',
  labels: info.Labels ?? {},
});

function driverOptions(network: FleetNetwork): Record<string, string> {
  if (network.driver === 'bridge') return {};
  return network.driver === 'ipvlan' ? { parent: network.interface, ipvlan_mode: 'l2' } : { parent: network.interface };
}

export class NetworkKeeper {
  readonly name: string;
  readonly #docker: Docker;
  readonly #scope: EngineScope;
  readonly #plans = new SingleFlight<NetworkPlan>();
  readonly #changes = new SingleFlight<string>();
  #known: { readonly key: string; readonly id: string; readonly until: number } | null = null;

  constructor(docker: Docker, scope: EngineScope, name: string) {
    this.#docker = docker;
    this.#scope = scope;
    this.name = name;
  }

  /** What would have to be done for this network; asks the engine at most every ten seconds while it stays. Throws NameTaken. */
  plan(network: FleetNetwork, signal?: AbortSignal): Promise<NetworkPlan> {
    const key = JSON.stringify(network);
    const known = this.#known;
    if (known?.key === key && known.until > Date.now()) return Promise.resolve({ kind: 'keep', id: known.id });
    return this.#plans.run(key, { signal }, (shared) => this.#planNow(key, network, shared));
  }

  /** Makes the network when it is missing or another; returns its id. Single flight. */
  async ensure(network: FleetNetwork, options: OperationOptions = {}): Promise<string> {
    const plan = await this.plan(network, options.signal);
    if (plan.kind === 'keep') return plan.id;
    return this.#changes.run(JSON.stringify(network), options, (signal, tell) => this.#change(network, signal, tell));
  }

  /** To be called when the engine said that the network is not there. */
  forget(): void {
    this.#known = null;
  }

  /** The network that has to go for this one; null where it is this one already, or missing. Throws NameTaken. */
  async other(network: FleetNetwork, signal?: AbortSignal): Promise<CurrentNetwork | null> {
    this.forget();
    const current = await this.#inspect(this.name, signal);
    return current && planNetwork(this.name, network, current, this.#scope).kind === 'replace' ? current : null;
  }

  /**
   * Makes as sure as can be that the engine can make this network in place of the one that is there, so that nothing is taken
   * down for one that can't be. Throws NetworkConflict, and what the engine says to a trial.
   */
  async tryOut(network: FleetNetwork, signal?: AbortSignal): Promise<void> {
    const current = await this.other(network, signal);
    if (!current) return;
    await this.#dropProbe(signal);
    const beside = canStandBeside(network, current);
    await this.#assertRoom(network, beside, signal);
    if (!beside) return;
    await this.#create(probeNameOf(this.name), network, signal);
    await this.#dropProbe(signal);
  }

  /** Removes the network when it is ours and nothing, running or not, hangs on it. */
  async removeIfUnused(signal?: AbortSignal): Promise<boolean> {
    this.forget();
    const current = await this.#inspect(this.name, signal);
    const ours =
      current?.labels[LABEL.instance] === this.#scope.instance && current.labels[LABEL.project] === this.#scope.project;
    if (!current || !ours || (await this.#attached(current.id, signal)).length > 0) return false;
    try {
      await this.#remove(current.id, signal);
      return true;
    } catch (error) {
      if (error instanceof DeckhandError && [403, 404].includes(engineStatus(error.cause) ?? 0)) return false;
      throw error;
    }
  }

  async #planNow(key: string, network: FleetNetwork, signal: AbortSignal): Promise<NetworkPlan> {
    const plan = planNetwork(this.name, network, await this.#inspect(this.name, signal), this.#scope);
    if (plan.kind === 'keep') this.#known = { key, id: plan.id, until: Date.now() + FRESH_MS };
    return plan;
  }

  async #change(network: FleetNetwork, signal: AbortSignal, tell: (step: string) => void): Promise<string> {
    const key = JSON.stringify(network);
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      const plan = await this.#planNow(key, network, signal);
      if (plan.kind === 'keep') return plan.id;
      await this.#dropProbe(signal);
      await this.#assertRoom(network, true, signal);
      if (plan.kind === 'replace') await this.#clear(plan.id, plan.reason, signal);
      tell(`making network ${this.name}`);
      if (await this.#create(this.name, network, signal)) continue;
    }
    const plan = await this.#planNow(key, network, signal);
    if (plan.kind === 'keep') return plan.id;
    throw new DeckhandError('EngineBusy', `network ${this.name} was made and removed by others ${TRIES} times over`);
  }

  /** Throws EngineRefused when a container hangs on the network that is to be replaced. */
  async #clear(id: string, reason: string, signal: AbortSignal): Promise<void> {
    const attached = await this.#attached(id, signal);
    if (attached.length > 0) {
      const names = attached.slice(0, 5).join(', ') + (attached.length > 5 ? ` and ${attached.length - 5} more` : '');
      throw new DeckhandError(
        'EngineRefused',
        `network ${this.name} has to be made anew (${reason}), but ${names} still hang on it; take them down first`,
      );
    }
    try {
      await this.#remove(id, signal);
    } catch (error) {
      throw (await stuckNetwork(this.#docker, { id, name: this.name }, error, signal)) ?? error;
    }
  }

  /**
   * Throws NetworkConflict where the machine of the engine has something in the network's way. `engineJudges`: the engine is
   * about to be asked for the network, and says itself which other network of its own is in the way.
   */
  async #assertRoom(network: FleetNetwork, engineJudges: boolean, signal: AbortSignal | undefined): Promise<void> {
    const { instance, project } = this.#scope;
    const owner = { instance, project, networkName: this.name };
    const [machine, engine] = await Promise.all([
      isLocalEngine(this.#docker) ? readHostNetworks() : { addresses: [], routes: [] },
      engineNetworks(this.#docker, owner, READ_TIMEOUT_MS, signal),
    ]);
    const others = engine.map((one) => ({ ...one, own: one.own || engineJudges }));
    assertNothingInTheWay(network, { ...machine, engine: others }, null, `the net ${network.subnet}`);
  }

  /** What a trial has left when it was killed. */
  async #dropProbe(signal: AbortSignal | undefined): Promise<void> {
    const probe = await this.#inspect(probeNameOf(this.name), signal);
    if (probe && probe.labels[LABEL.instance] === this.#scope.instance) await this.#remove(probe.id, signal);
  }

  #inspect(name: string, signal: AbortSignal | undefined): Promise<CurrentNetwork | null> {
    const doing = `inspection of network ${name}`;
    return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
      try {
        return toCurrent(await raceAbort(this.#docker.getNetwork(name).inspect(), abortSignal));
      } catch (error) {
        if (engineStatus(error) === 404) return null;
        throw error;
      }
    });
  }

  #attached(id: string, signal: AbortSignal | undefined): Promise<string[]> {
    return containersOn(this.#docker, { id, name: this.name }, signal);
  }

  #remove(id: string, signal: AbortSignal | undefined): Promise<unknown> {
    const doing = `removal of network ${this.name}`;
    return callEngine({ doing, signal, timeoutMs: CHANGE_TIMEOUT_MS }, (abortSignal) =>
      this.#docker.getNetwork(id).remove({ abortSignal }),
    );
  }

  /** True when it was made, or was there already (a second maker gets 409); the next inspection judges it. */
  async #create(name: string, network: FleetNetwork, signal: AbortSignal | undefined): Promise<boolean> {
    const doing = `making of network ${name}`;
    try {
      await callEngine({ doing, signal, timeoutMs: CHANGE_TIMEOUT_MS }, (abortSignal) =>
        this.#docker.createNetwork({
          Name: name,
          CheckDuplicate: true,
          Driver: network.driver,
          Options: driverOptions(network),
          IPAM: { Driver: 'default', Config: [{ Subnet: network.subnet, Gateway: network.gateway }] },
          Labels: { [LABEL.instance]: this.#scope.instance, [LABEL.project]: this.#scope.project },
          abortSignal,
        }),
      );
      return true;
    } catch (error) {
      const status = error instanceof DeckhandError ? engineStatus(error.cause) : null;
      if (status === 409) return true;
      if (status === 403) throw await this.#overlapError(network, error, signal);
      throw error;
    }
  }

  async #overlapError(network: FleetNetwork, error: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    const doing = 'listing of networks';
    const networks = await callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, (abortSignal) =>
      this.#docker.listNetworks({ abortSignal }),
    );
    const other = networks.find((info) =>
      (info.IPAM?.Config ?? []).some(({ Subnet }) => Subnet && overlaps(Subnet, network.subnet)),
    );
    if (!other) return error;
    return new DeckhandError(
      'EngineRefused',
      `subnet ${network.subnet} overlaps with the one of Docker network ${other.Name}; ` +
        'name another net in [general], or remove that network',
      { cause: error },
    );
  }
}

// 2. The plan

/** A network as the engine's inspection shows it. */
export interface CurrentNetwork {
  readonly id: string;
  readonly driver: string;
  readonly subnet: string;
  readonly gateway: string;
  /** Interface under macvlan and ipvlan; empty for bridge. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type NetworkPlan =
  | { readonly kind: 'keep'; readonly id: string }
  | { readonly kind: 'create'; readonly reason: string }
  | { readonly kind: 'replace'; readonly id: string; readonly reason: string };

const isOurs = (labels: CurrentNetwork['labels'], scope: EngineScope): boolean =>
  labels[LABEL.instance] === scope.instance && labels[LABEL.project] === scope.project;

function networkDifferences(desired: FleetNetwork, current: CurrentNetwork): string[] {
  const found: string[] = [];
  const compare = (what: string, is: string, should: string): void => {
    if (is !== should) found.push(`its ${what} is ${is || 'none'}, not ${should}`);
  };
  compare('driver', current.driver, desired.driver);
  compare('subnet', current.subnet, desired.subnet);
  compare('gateway', current.gateway, desired.gateway);
  if (desired.driver !== 'bridge') compare('interface', current.parent, desired.interface);
  return found;
}

/** Throws NameTaken when the network of that name is not this project's. */
export function planNetwork(
  name: string,
  desired: FleetNetwork,
  current: CurrentNetwork | null,
  scope: EngineScope,
): NetworkPlan {
  if (!current) return { kind: 'create', reason: 'it is missing' };
  if (!isOurs(current.labels, scope))
    throw new DeckhandError(
      'NameTaken',
      `network ${name} belongs to ${ownerInWords(current.labels)}; it was not touched. ` +
        'Remove it, or set DECKHAND_PROJECT to a name of your own.',
    );
  const found = networkDifferences(desired, current);
  return found.length === 0
    ? { kind: 'keep', id: current.id }
    : { kind: 'replace', id: current.id, reason: found.join(', ') };
}

const NEVER = { network: 1, broadcast: 0, prefix: 32 };

const subnetOf = (text: string): Subnet => {
  try {
    return parseSubnet(text, 'A subnet');
  } catch {
    return NEVER;
  }
};

/** Whether two IPv4 subnets share an address; false for anything that is no IPv4 CIDR. */
export function overlaps(a: string, b: string): boolean {
  const [one, other] = [subnetOf(a), subnetOf(b)];
  return one !== NEVER && other !== NEVER && overlap(one, other);
}

/** The network as the fleet would have it; null where it is none that a fleet can have. */
export function asFleetNetwork({ driver, parent, subnet, gateway }: CurrentNetwork): FleetNetwork | null {
  const known = Object.values(NETWORK_DRIVER).find((one) => one === driver);
  return known === undefined || subnet === '' || gateway === ''
    ? null
    : { driver: known, interface: parent, subnet, gateway };
}

/**
 * Whether a network can be tried out beside the one that it is to replace: the engine gives no address and, outside of
 * bridge, no interface to two networks.
 */
export const canStandBeside = (desired: FleetNetwork, current: CurrentNetwork): boolean =>
  !overlaps(desired.subnet, current.subnet) && (desired.driver === 'bridge' || desired.interface !== current.parent);

/**
 * Networks that Docker keeps because it counts endpoints that are no more. Seen on 20.10 under load: after many containers
 * came and went at once, `inspect` shows none, no container names the network, and yet it "has active endpoints" until the
 * engine is started anew, which counts again.
 */

interface Network {
  readonly id: string;
  readonly name: string;
}

/** Names of all containers on the network, whoever made them, running or not. */
export function containersOn(
  docker: Docker,
  { id, name }: Network,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const doing = `listing of containers on network ${name}`;
  return callEngine({ doing, signal, timeoutMs: READ_TIMEOUT_MS }, async (abortSignal) => {
    const infos = await docker.listContainers({ all: true, filters: { network: [id] }, abortSignal });
    return infos.map((info) => (info.Names[0] ?? info.Id).replace(/^\//, ''));
  });
}

/** `failure` of a removal → one that says what to do where nothing hangs on the network; null for every other failure. */
export async function stuckNetwork(
  docker: Docker,
  network: Network,
  failure: unknown,
  signal: AbortSignal | undefined,
): Promise<DeckhandError | null> {
  if (!isDeckhandError(failure) || failure.code !== 'EngineBusy') return null;
  if ((await containersOn(docker, network, signal)).length > 0) return null;
  return new DeckhandError(
    'EngineBusy',
    `network ${network.name} can’t be removed: Docker counts endpoints on it, though no container hangs on it. ` +
      'Restart the Docker Engine, which makes it count again.',
    { cause: failure.cause },
  );
}
