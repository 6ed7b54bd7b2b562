/**
 * What of a machine's networks stands in the way of a subnet for deckies. Pure: the facts come from
 * engine/network-detection.ts, for the machine that has the Docker Engine.
 */
import { contains, formatSubnet, hostRange, parseAddress, parseSubnet, type Subnet } from './addresses.ts';
import { type FleetNetwork, NETWORK_DRIVER, type NetworkDriver } from './config.ts';
import { DeckhandError } from './errors.ts';

export interface HostAddress {
  readonly interface: string;
  readonly address: string;
  /** CIDR; host bits may be set. */
  readonly subnet: string;
}

/** A route of the main table; the default route is none of these. */
export interface HostRoute {
  readonly interface: string;
  /** CIDR. */
  readonly subnet: string;
  /** Null: the subnet lies on the interface itself. */
  readonly gateway: string | null;
}

export interface EngineNetwork {
  readonly name: string;
  /** CIDR. */
  readonly subnet: string;
  /** Of a bridge: its interface on the machine. */
  readonly interface: string | null;
  /** Made by this installation for this fleet. */
  readonly own: boolean;
}

export interface HostNetworks {
  readonly addresses: readonly HostAddress[];
  readonly routes: readonly HostRoute[];
  /** Null: the engine did not say. */
  readonly engine: readonly EngineNetwork[] | null;
}

export const overlap = (a: Subnet, b: Subnet): boolean => a.network <= b.broadcast && b.network <= a.broadcast;

const subnetOf = (text: string): Subnet => parseSubnet(text, `The subnet '${text}'`);

const SPECIAL = [
  ['0.0.0.0/8', 'this network'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local addresses'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'future use and broadcast'],
].map(([cidr = '', use]) => ({ subnet: subnetOf(cidr), use }));

/** Network, gateway, one decky, broadcast. */
const LONGEST_PREFIX = 30;

/** Throws InvalidAddress for a subnet that can't have deckies on any machine; `where` begins the sentence. */
export function assertUsableSubnet(subnet: Subnet, where: string): void {
  const special = SPECIAL.find((one) => overlap(one.subnet, subnet));
  if (special)
    throw new DeckhandError(
      'InvalidAddress',
      `${where} has addresses of ${formatSubnet(special.subnet)}, which is reserved for ${special.use}. Name a net that hosts can have, for example 10.20.30.0/24.`,
    );
  if (subnet.prefix > LONGEST_PREFIX)
    throw new DeckhandError(
      'InvalidAddress',
      `${where} has no room for a gateway and a decky beside the addresses of the network and of the broadcast. Name a net of /${LONGEST_PREFIX} or larger.`,
    );
}

/** Docker names the interface of a bridge after the network's id. */
const DOCKER_BRIDGE = /^br-[0-9a-f]{12}$/;

/**
 * Interfaces of the fleet's own bridge. Where the engine did not say, it is the bridge that has the fleet's subnet; with no
 * fleet known, one with exactly the wanted subnet may be left of an earlier one, which the engine will tell.
 */
function ownInterfaces(host: HostNetworks, known: Subnet | null): ReadonlySet<string> {
  if (host.engine !== null) return new Set(host.engine.flatMap((one) => (one.own && one.interface) || []));
  const isOwn = ({ interface: name, subnet }: HostAddress): boolean =>
    DOCKER_BRIDGE.test(name) && known !== null && formatSubnet(subnetOf(subnet)) === formatSubnet(known);
  return new Set(host.addresses.filter(isOwn).map((one) => one.interface));
}

interface Obstacle {
  /** "192.0.2.0/24 of the interface eth0". */
  readonly phrase: string;
  readonly remedy: string;
}

/** How the kernel names the interface of a route that drops what it gets: blackhole, unreachable, prohibit. */
const NO_INTERFACE = '*';

const FREE_NET = 'Leave net= out, or name one that is free.';

function obstacleOf(
  subnet: Subnet,
  driver: NetworkDriver,
  host: HostNetworks,
  own: ReadonlySet<string>,
): Obstacle | null {
  const network = host.engine?.find((one) => !one.own && overlap(subnetOf(one.subnet), subnet));
  if (network)
    return {
      phrase: `${network.subnet} of the Docker network ${network.name}`,
      remedy: 'Name another net, or remove that network.',
    };
  // macvlan and ipvlan are for the network that is there.
  if (driver !== NETWORK_DRIVER.bridge) return null;
  const address = host.addresses.find((one) => !own.has(one.interface) && overlap(subnetOf(one.subnet), subnet));
  if (address)
    return {
      phrase: `${formatSubnet(subnetOf(address.subnet))} of this machine's interface ${address.interface}`,
      remedy: `The driver bridge makes a network of its own. ${FREE_NET} To put deckies into the network of ${address.interface}, set DECKHAND_NETWORK=macvlan.`,
    };
  const route = host.routes.find((one) => !own.has(one.interface) && overlap(subnetOf(one.subnet), subnet));
  if (!route) return null;
  const to = `this machine's route to ${formatSubnet(subnetOf(route.subnet))}`;
  if (route.interface === NO_INTERFACE) return { phrase: `${to}, which leads nowhere`, remedy: FREE_NET };
  const by = route.gateway === null ? '' : ` by ${route.gateway}`;
  return {
    phrase: `${to}${by} on the interface ${route.interface}`,
    remedy: `The driver bridge makes a network of its own. ${FREE_NET} The driver macvlan puts deckies into the network of an interface.`,
  };
}

/**
 * Throws NetworkConflict for the first interface, route or Docker network in the way of a network that is to be made.
 * `known`: the fleet's present or last network.
 */
export function assertNothingInTheWay(
  network: FleetNetwork,
  host: HostNetworks | null | undefined,
  known: FleetNetwork | null,
  where: string,
): void {
  if (!host) return;
  const subnet = subnetOf(network.subnet);
  const own = ownInterfaces(host, known === null ? subnet : subnetOf(known.subnet));
  const obstacle = obstacleOf(subnet, network.driver, host, own);
  if (obstacle)
    throw new DeckhandError(
      'NetworkConflict',
      `Network configuration conflict: ${where} overlaps ${obstacle.phrase}. ${obstacle.remedy}`,
    );
}

/** Every address of the machine but those of the fleet's own bridge, which are the gateway's. */
export function hostAddresses(host: HostNetworks | null | undefined, known: FleetNetwork | null): string[] {
  if (!host) return [];
  const own = ownInterfaces(host, known === null ? null : subnetOf(known.subnet));
  return host.addresses.filter((one) => !own.has(one.interface)).map((one) => one.address);
}

/** The first of an interface; null where it has none, or can't be told. */
export const subnetOfInterface = (host: HostNetworks | null | undefined, name: string): string | null =>
  host?.addresses.find((one) => one.interface === name)?.subnet ?? null;

/** Gateways by which this machine goes on from an interface. */
export const gatewaysOf = (host: HostNetworks | null | undefined, name: string): string[] =>
  (host?.routes ?? []).flatMap((one) => (one.interface === name && one.gateway !== null ? [one.gateway] : []));

/** The interface whose own subnet holds all of this one. */
export function interfaceWith(host: HostNetworks | null | undefined, subnet: Subnet): string | null {
  const holds = (text: string): boolean => {
    const other = subnetOf(text);
    return contains(other, subnet.network) && contains(other, subnet.broadcast);
  };
  return host?.addresses.find((one) => holds(one.subnet))?.interface ?? null;
}

/** A warning where deckies would hang on one interface with addresses of another one's network. */
export function foreignSubnet(network: FleetNetwork, host: HostNetworks | null | undefined): string | null {
  if (!host || network.driver === NETWORK_DRIVER.bridge) return null;
  const subnet = subnetOf(network.subnet);
  const mine = host.addresses.filter((one) => one.interface === network.interface);
  if (mine.length === 0 || mine.some((one) => overlap(subnetOf(one.subnet), subnet))) return null;
  const other = host.addresses.find((one) => overlap(subnetOf(one.subnet), subnet));
  if (!other) return null;
  return `The net ${network.subnet} is that of the interface ${other.interface}, but the deckies will be on ${network.interface}: this machine will look for them on ${other.interface}.`;
}

export function isHostAddressOf(subnet: Subnet, text: string): boolean {
  const address = parseAddress(text, 'An address');
  const { first, last } = hostRange(subnet);
  return address >= first && address <= last;
}
