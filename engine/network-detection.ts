/**
 * What the master's machine has of networks: interfaces, and the default route with the address on its interface, which
 * are what `ip route show default` and `ip addr show` print. Read from the kernel, so that no `ip` program is needed.
 */
import { readdir } from 'node:fs/promises';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { NetworkDriver } from '../fleet/config.ts';
import type { HostNetworks, NetworkContext } from '../fleet/network.ts';
import { connectDocker, isLocalEngine } from './docker/connect.ts';
import { engineNetworks, type NetworkOwner } from './docker/engine-networks.ts';
import { isDefaultRoute, type KernelRoute, parseRoutes, readHostNetworks, readRoutes } from './host-networks.ts';

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
 * Looks anew at each call; what can't be told is null, and planning says so where it matters. `engine`: null where deckies are
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
