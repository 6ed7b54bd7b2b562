/**
 * The helper interface by which this machine reaches its own deckies under macvlan and ipvlan. There a host can't reach
 * containers by their parent interface. A sibling of theirs on the same parent can, and carries a route to each.
 * Each call compares the kernel with what runs on the network, so that it mends what a reboot or an operator took away.
 * It is a convenience of this machine: where it can't be made, the deckies are up all the same, and the log says why.
 *
 * 1. The keeper. 2. What the kernel has. 3. The plan, pure: what the interface should be, and the `ip` commands for that.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { raceAbort } from '../../lib/concurrency.ts';
import type { Logger } from '../../lib/logger.ts';
import { callEngine, engineStatus, READ_TIMEOUT_MS } from './transport.ts';

const IP_LIMIT_MS = 5_000;
const DRIVERS: readonly HelperDriver[] = ['macvlan', 'ipvlan'];
const isHelped = (driver: string): driver is HelperDriver => (DRIVERS as readonly string[]).includes(driver);

const execute = promisify(execFile);
const ip = async (...args: string[]): Promise<string> =>
  (await execute('ip', args, { timeout: IP_LIMIT_MS, encoding: 'utf8' })).stdout;

const exists = (name: string): boolean => existsSync(`/sys/class/net/${name}`);

export interface HelperOptions {
  readonly networkName: string;
  /** As in DOCKER_HOST. */
  readonly dockerHost: string;
  readonly logger: Logger;
}

export class HelperInterface {
  readonly #docker: Docker;
  readonly #options: HelperOptions;
  /** One at a time; those that come meanwhile share the next. */
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  /** The network's driver, as last seen. */
  #driver: string | null = null;
  #here: Promise<boolean> | null = null;
  #told = '';

  constructor(docker: Docker, options: HelperOptions) {
    this.#docker = docker;
    this.#options = options;
  }

  /** After a decky of a network of this driver was brought up. Never rejects. */
  async afterUp(driver: string): Promise<void> {
    this.#driver = driver;
    if (isHelped(driver)) await this.#mend();
  }

  /** After deckies went, or the network with them. Never rejects. */
  async afterDown(): Promise<void> {
    if (this.#names().some(exists)) await this.#mend();
  }

  /** Whenever the engine was observed. Never rejects. */
  async afterObservation(): Promise<void> {
    if (this.#driver === null || isHelped(this.#driver)) await this.#mend();
  }

  /** After the network was removed. Never rejects. */
  async remove(): Promise<void> {
    await this.#running;
    await this.#attempt(() => this.#removeNow());
  }

  async #removeNow(): Promise<void> {
    this.#driver = null;
    if (process.getuid?.() !== 0 || !(await this.#engineIsHere())) return;
    for (const name of this.#names().filter(exists)) await ip('link', 'delete', name);
  }

  #names(): string[] {
    return DRIVERS.map((driver) => helperName(this.#options.networkName, driver));
  }

  #mend(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      this.#running = this.#attempt(() => this.#mendNow());
      return this.#running;
    });
    return this.#next;
  }

  async #attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#tell(`the helper interface can't be kept: ${(error as Error).message.trim()}`);
    }
  }

  /** Once, until there is something else to say. */
  #tell(sentence: string): void {
    if (sentence !== this.#told) this.#options.logger.warn({ network: this.#options.networkName }, sentence);
    this.#told = sentence;
  }

  async #mendNow(): Promise<void> {
    if (!(await this.#engineIsHere())) return;
    const network = await this.#network();
    this.#driver = network?.driver ?? this.#driver;
    if (network === null || !isHelped(network.driver)) return this.#removeNow();
    const { driver, parent, deckies } = network;
    const [name, other] = [driver, DRIVERS.find((one) => one !== driver) ?? driver].map((one) =>
      helperName(this.#options.networkName, one),
    ) as [string, string];
    if (process.getuid?.() !== 0)
      return this.#tell('this machine can’t reach its deckies: only root can make a helper interface');
    const address = networkInterfaces()[parent]?.find(({ family }) => family === 'IPv4')?.address;
    if (address === undefined)
      return this.#tell(`this machine can’t reach its deckies: ${parent} has no IPv4 address for a helper interface`);
    const desired = { name, other, driver, parent, address, deckies };
    for (const args of planHelper(desired, await readHelper(name), exists(other))) await ip(...args);
    this.#told = '';
  }

  async #network(): Promise<{ driver: string; parent: string; deckies: string[] } | null> {
    const doing = `inspection of network ${this.#options.networkName}`;
    return callEngine({ doing, signal: undefined, timeoutMs: READ_TIMEOUT_MS }, async (signal) => {
      try {
        const network = this.#docker.getNetwork(this.#options.networkName);
        const { Driver, Options, Containers } = await raceAbort(network.inspect(), signal);
        const deckies = Object.values(Containers ?? {}).flatMap(({ IPv4Address }) => IPv4Address?.split('/')[0] || []);
        return { driver: Driver, parent: Options?.parent ?? '', deckies };
      } catch (error) {
        if (engineStatus(error) === 404) return null;
        throw error;
      }
    });
  }

  /** An engine by a socket may still be another machine's, or see other interfaces than we do. */
  #engineIsHere(): Promise<boolean> {
    if (!this.#options.dockerHost.startsWith('unix:')) return Promise.resolve(false);
    this.#here ??= callEngine(
      { doing: 'question whose engine it is', signal: undefined, timeoutMs: READ_TIMEOUT_MS },
      async (signal) => {
        const info: { Name?: string } = await raceAbort(this.#docker.info(), signal);
        return info.Name === hostname();
      },
    );
    this.#here.catch(() => {
      this.#here = null;
    });
    return this.#here;
  }
}

interface Link {
  readonly link?: string;
  readonly flags?: readonly string[];
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info?: readonly { readonly local: string; readonly prefixlen: number }[];
}

async function readHelper(name: string): Promise<CurrentHelper | null> {
  if (!exists(name)) return null;
  const read = async <T>(...args: string[]): Promise<T[]> => JSON.parse((await ip('-json', ...args)) || '[]') as T[];
  const [links, addresses, routes] = await Promise.all([
    read<Link>('-details', 'link', 'show', 'dev', name),
    read<Link>('-4', 'address', 'show', 'dev', name),
    read<{ dst: string }>('-4', 'route', 'show', 'dev', name),
  ]);
  return {
    driver: links[0]?.linkinfo?.info_kind ?? '',
    parent: links[0]?.link ?? '',
    up: links[0]?.flags?.includes('UP') === true,
    addresses: addresses.flatMap((one) => (one.addr_info ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`)),
    routes: routes.map(({ dst }) => dst),
  };
}

// 3. The plan

export type HelperDriver = 'macvlan' | 'ipvlan';

export interface DesiredHelper {
  readonly name: string;
  /** The name that the helper would have under the other driver: that one goes. */
  readonly other: string;
  readonly driver: HelperDriver;
  readonly parent: string;
  /** The host's own address on the parent. */
  readonly address: string;
  /** Addresses of running deckies, in any order. */
  readonly deckies: readonly string[];
}

/** What the kernel has. */
export interface CurrentHelper {
  readonly driver: string;
  readonly parent: string;
  readonly up: boolean;
  /** With their prefixes. */
  readonly addresses: readonly string[];
  /** Destinations, with a prefix unless it is 32. */
  readonly routes: readonly string[];
}

/** Names of interfaces have 15 characters at most. */
const LONGEST_NAME = 15;
const NETWORK_OF_DECNET = 'decnet_lan';

/** DECNET's name for DECNET's network; another network of this machine has a helper of its own. */
export function helperName(networkName: string, driver: HelperDriver): string {
  if (networkName === NETWORK_OF_DECNET) return `decnet_${driver}0`;
  const hash = createHash('sha256').update(networkName).digest('hex').slice(0, 8);
  return `dh_${hash}_${driver}`.slice(0, LONGEST_NAME);
}

const bare = (destination: string): string => destination.replace(/\/32$/, '');

/** Arguments of `ip`, one command an entry; none where all is as it should be. */
export function planHelper(desired: DesiredHelper, current: CurrentHelper | null, otherExists: boolean): string[][] {
  const { name, driver, parent, address } = desired;
  const steps: string[][] = [];
  if (otherExists) steps.push(['link', 'delete', desired.other]);
  const fits = current !== null && current.driver === driver && current.parent === parent;
  if (current !== null && !fits) steps.push(['link', 'delete', name]);
  const kept = fits ? current : null;
  const mode = driver === 'macvlan' ? 'bridge' : 'l2';
  if (kept === null) steps.push(['link', 'add', name, 'link', parent, 'type', driver, 'mode', mode]);
  for (const old of kept?.addresses ?? [])
    if (old !== `${address}/32`) steps.push(['address', 'delete', old, 'dev', name]);
  if (!kept?.addresses.includes(`${address}/32`)) steps.push(['address', 'replace', `${address}/32`, 'dev', name]);
  if (!kept?.up) steps.push(['link', 'set', name, 'up']);
  const wanted = new Set(desired.deckies.map(bare));
  const there = new Set((kept?.routes ?? []).map(bare));
  // Some of the routes went with the address: none is left in the way of what follows.
  const anew = steps.some(([what, verb]) => what === 'address' && verb === 'delete');
  if (anew) steps.push(['route', 'flush', 'dev', name]);
  else for (const route of there) if (!wanted.has(route)) steps.push(['route', 'delete', route, 'dev', name]);
  for (const route of wanted)
    if (anew || !there.has(route)) steps.push(['route', 'replace', route, 'dev', name, 'src', address]);
  return steps;
}
