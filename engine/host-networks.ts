/**
 * Facts about networks, for planning. Nothing here changes anything.
 *
 * 1. The network context: interfaces, and the default route with the address on its interface. They are read from the kernel,
 *    so that no `ip` program is needed.
 * 2. Interfaces and routes of this machine that may be in the way of a subnet.
 * 3. The networks that an engine has.
 */

import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { endianness, type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { addressProblem } from '../fleet/addresses.ts';
import type { NetworkDriver } from '../fleet/config.ts';
import type { EngineNetwork, HostAddress, HostNetworks, HostRoute, NetworkContext } from '../fleet/network.ts';
import { LABEL } from './docker/create-options.ts';
import { callEngine, connectDocker, isLocalEngine } from './docker/transport.ts';

const INTERFACES = '/sys/class/net';
/** A request waits for this at most; an engine that does not answer is no reason to refuse it. */
const ENGINE_LIMIT_MS = 1_000;

export interface DefaultRoute {
  readonly interface: string;
  readonly gateway: string;
}

/** The engine whose machine is asked about. */
export interface EngineAsked {
  /** As DOCKER_HOST. */
  readonly dockerHost: string;
  readonly owner: NetworkOwner;
}

type Addresses = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

function defaultRoute(routes: readonly KernelRoute[]): DefaultRoute | null {
  const [best] = routes
    .filter((route) => isDefaultRoute(route) && route.gateway !== null)
    .sort((a, b) => a.metric - b.metric);
  return best === undefined || best.gateway === null ? null : { interface: best.interface, gateway: best.gateway };
}

/** The default route of lowest metric in the text of /proc/net/route; null where there is none. */
export const parseDefaultRoute = (text: string): DefaultRoute | null => defaultRoute(parseRoutes(text));

const firstIPv4 = (addresses: Addresses, name: string): NetworkInterfaceInfo | null =>
  addresses[name]?.find((address) => address.family === 'IPv4') ?? null;

async function interfaceNames(addresses: Addresses): Promise<string[]> {
  try {
    const entries = await readdir(INTERFACES, { withFileTypes: true });
    return entries.filter((entry) => !entry.isFile()).map((entry) => entry.name);
  } catch {
    return Object.keys(addresses);
  }
}

/** One client an engine, whose connections are used again. */
const clients = new Map<string, ReturnType<typeof connectDocker>>();

function clientOf(dockerHost: string): ReturnType<typeof connectDocker> {
  const client = clients.get(dockerHost) ?? connectDocker(dockerHost);
  clients.set(dockerHost, client);
  return client;
}

async function hostOf({ dockerHost, owner }: EngineAsked): Promise<HostNetworks> {
  const docker = clientOf(dockerHost);
  const [machine, engine] = await Promise.all([
    isLocalEngine(docker) ? readHostNetworks() : { addresses: [], routes: [] },
    engineNetworks(docker, owner, ENGINE_LIMIT_MS).catch(() => null),
  ]);
  return { ...machine, engine };
}

/**
 * Reads the facts at each call; what can't be told is null, and planning says so where it matters. `engine`: null where deckies are
 * simulated, so that nothing can be in their way.
 */
export async function detectNetwork(
  driver: NetworkDriver,
  bridgePool: string | null,
  engine: EngineAsked | null,
): Promise<NetworkContext> {
  const addresses = networkInterfaces();
  const [routes, host, interfaces] = await Promise.all([
    readRoutes(),
    engine === null ? null : hostOf(engine).catch(() => null),
    interfaceNames(addresses),
  ]);
  const route = defaultRoute(routes);
  const address = route === null ? null : firstIPv4(addresses, route.interface);
  const subnet = address?.cidr ?? null;
  return {
    driver,
    host_ip: address?.address ?? null,
    interfaces,
    // The subnet keeps its host bits here; planning clears them.
    detected: route === null || subnet === null ? null : { ...route, subnet },
    bridge_pool: bridgePool,
    host,
  };
}

// 2. Interfaces and routes. Addresses are read by `ip`, which shows those of interfaces without a carrier too; where there is no
// `ip`, Node tells those of the interfaces that are up. Routes are the kernel's main table.

const ROUTES = '/proc/net/route';
/** RTF_UP and RTF_GATEWAY of linux/route.h. */
const UP = 0x1;
const BY_GATEWAY = 0x2;
const IP_LIMIT_MS = 2_000;

export interface KernelRoute {
  readonly interface: string;
  readonly destination: string;
  readonly mask: string;
  /** Null: none. */
  readonly gateway: string | null;
  readonly metric: number;
}

/** The kernel prints addresses as one number in the machine's byte order. */
function hexAddress(hex: string): string {
  const bytes = [0, 2, 4, 6].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  return (endianness() === 'LE' ? bytes.reverse() : bytes).join('.');
}

const isHex = (text: string | undefined): text is string => text !== undefined && /^[0-9A-Fa-f]{8}$/.test(text);

/** Routes that are up, of the text of /proc/net/route. */
export function parseRoutes(text: string): KernelRoute[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([name, destination, gateway, flagText, , , metric, mask]): KernelRoute[] => {
      const flags = Number.parseInt(flagText ?? '0', 16);
      if (name === undefined || !isHex(destination) || !isHex(gateway) || !isHex(mask) || !(flags & UP)) return [];
      return [
        {
          interface: name,
          destination: hexAddress(destination),
          mask: hexAddress(mask),
          gateway: flags & BY_GATEWAY ? hexAddress(gateway) : null,
          metric: Number(metric),
        },
      ];
    });
}

export const isDefaultRoute = (route: KernelRoute): boolean =>
  route.destination === '0.0.0.0' && route.mask === '0.0.0.0';

export const readRoutes = async (): Promise<KernelRoute[]> =>
  parseRoutes(await readFile(ROUTES, 'utf8').catch(() => ''));

const toHostRoute = ({ interface: name, destination, mask, gateway }: KernelRoute): HostRoute => ({
  interface: name,
  subnet: `${destination}/${mask}`,
  gateway,
});

interface IpInterface {
  readonly ifname?: unknown;
  readonly addr_info?: readonly { readonly family?: unknown; readonly local?: unknown; readonly prefixlen?: unknown }[];
}

/** Of the text of `ip -j -4 addr show`. Throws where it is none. */
export function parseAddresses(text: string): HostAddress[] {
  return (JSON.parse(text) as IpInterface[]).flatMap(({ ifname, addr_info }) =>
    (addr_info ?? []).flatMap(({ family, local, prefixlen }): HostAddress[] =>
      family === 'inet' && typeof ifname === 'string' && typeof local === 'string' && typeof prefixlen === 'number'
        ? [{ interface: ifname, address: local, subnet: `${local}/${prefixlen}` }]
        : [],
    ),
  );
}

async function readAddresses(): Promise<HostAddress[]> {
  try {
    const { stdout } = await promisify(execFile)('ip', ['-j', '-4', 'addr', 'show'], { timeout: IP_LIMIT_MS });
    return parseAddresses(stdout);
  } catch {
    return Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
      (entries ?? []).flatMap(({ family, address, cidr }) =>
        family === 'IPv4' && cidr !== null ? [{ interface: name, address, subnet: cidr }] : [],
      ),
    );
  }
}

export async function readHostNetworks(): Promise<{ addresses: HostAddress[]; routes: HostRoute[] }> {
  const [addresses, routes] = await Promise.all([readAddresses(), readRoutes()]);
  return { addresses, routes: routes.filter((route) => !isDefaultRoute(route)).map(toHostRoute) };
}

// 3. The networks of an engine

/** Whose network is the fleet's own. Without an instance, the name and the project tell. */
export interface NetworkOwner {
  readonly instance?: string;
  readonly project: string;
  readonly networkName: string;
}

/** Name of the network by which it is tried whether the engine can make one (docker/network.ts). */
export const probeNameOf = (networkName: string): string => `${networkName}_probe`;

const isIPv4Subnet = (text: unknown): text is string =>
  typeof text === 'string' && addressProblem(text.split('/')[0] ?? '') === null;

function isOwn({ Name, Labels }: Docker.NetworkInspectInfo, owner: NetworkOwner): boolean {
  const { instance, project, networkName } = owner;
  if (Name !== networkName && Name !== probeNameOf(networkName)) return false;
  return Labels?.[LABEL.project] === project && (instance === undefined || Labels[LABEL.instance] === instance);
}

/** Throws DeckhandError where the engine does not answer in time. */
export async function engineNetworks(
  docker: Docker,
  owner: NetworkOwner,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<EngineNetwork[]> {
  const infos = await callEngine({ doing: 'listing of networks', signal, timeoutMs }, (abortSignal) =>
    docker.listNetworks({ abortSignal }),
  );
  return infos.flatMap((info) => {
    const bridge = info.Options?.['com.docker.network.bridge.name'] ?? `br-${info.Id.slice(0, 12)}`;
    return (info.IPAM?.Config ?? [])
      .map(({ Subnet }) => Subnet)
      .filter(isIPv4Subnet)
      .map((subnet) => ({
        name: info.Name,
        subnet,
        interface: info.Driver === 'bridge' ? bridge : null,
        own: isOwn(info, owner),
      }));
  });
}
