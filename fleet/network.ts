/** Which network a deploy uses: that of the fleet, that of the INI, what was detected, or the embedded stack's pool. */
import {
  contains,
  formatAddress,
  formatSubnet,
  hostRange,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './addresses.ts';
import { type FleetNetwork, NETWORK_DRIVER, type NetworkDriver } from './config.ts';
import { DeckhandError } from './errors.ts';
import type { GeneralSection } from './ini.ts';

/** What is known of the machine that runs the deckies. */
export interface NetworkContext {
  /** DECKHAND_NETWORK, resolved. */
  readonly driver: NetworkDriver;
  readonly host_ip: string | null;
  readonly interfaces: readonly string[];
  /** What `ip route` and `ip addr` say; null where it can't be told. */
  readonly detected: { readonly interface: string; readonly subnet: string; readonly gateway: string } | null;
  /** The embedded stack's pool, used where the INI names no net and the driver is bridge. */
  readonly bridge_pool: string | null;
  /** Interfaces, routes and Docker networks of the engine's machine; null or absent where they can't be told. */
  readonly host?: HostNetworks | null;
}

export interface ResolvedNetwork {
  readonly network: FleetNetwork;
  readonly warnings: readonly string[];
}

const conflict = (what: string): DeckhandError =>
  new DeckhandError('NetworkConflict', `Network configuration conflict: ${what}`);

const undetected = (what: string, key: string): DeckhandError =>
  conflict(`the ${what} can't be detected on this machine. Name it in the INI: [general] ${key}=.`);

/** An interface that does not exist is refused whatever the driver; one that bridge does not use is only noted. */
function checkInterface(general: GeneralSection, driver: NetworkDriver, context: NetworkContext): readonly string[] {
  const name = general.interface;
  if (name === null) return [];
  if (!context.interfaces.includes(name))
    throw conflict(
      `[general] interface=${name} does not exist on this machine. Available: ${context.interfaces.join(', ')}.`,
    );
  return driver === NETWORK_DRIVER.bridge
    ? [`[general] interface=${name} is unused by the network driver bridge.`]
    : [];
}

function checkedGateway(text: string, subnet: Subnet, where: string): string {
  const gateway = parseAddress(text, where);
  const { first, last } = hostRange(subnet);
  if (gateway < first || gateway > last)
    throw new DeckhandError(
      'InvalidAddress',
      `${where}${text} is no host address of the subnet ${formatSubnet(subnet)}. Name a gateway inside.`,
    );
  return formatAddress(gateway);
}

/**
 * The gateway that nobody named: the first known one that fits; else bridge makes its own, while macvlan and ipvlan need one
 * that is there.
 */
function impliedGateway(subnet: Subnet, driver: NetworkDriver, known: readonly (string | null | undefined)[]): string {
  const fitting = known.find((text) => typeof text === 'string' && isHostAddressOf(subnet, text));
  if (fitting) return fitting;
  if (driver !== NETWORK_DRIVER.bridge) throw undetected(`gateway of ${formatSubnet(subnet)}`, 'gw');
  return formatAddress(hostRange(subnet).first);
}

/** How a sentence about the subnet begins. */
const whereSubnet = (general: GeneralSection, net: string): string =>
  general.subnet === null ? `the subnet ${net}` : `[general] net=${general.subnet}`;

/** The subnet that macvlan or ipvlan takes where the INI names none: that of the interface that it names, or what is known. */
function impliedSubnet(general: GeneralSection, known: FleetNetwork | null, context: NetworkContext): string | null {
  const { detected } = context;
  const named = general.interface;
  if (named !== null && named !== (known?.interface ?? detected?.interface))
    return subnetOfInterface(context.host, named) ?? known?.subnet ?? detected?.subnet ?? null;
  return known?.subnet ?? detected?.subnet ?? null;
}

/** A network of its own for the fleet: INI first, then `present` (that of the fleet which is replaced), then what was detected. */
function newNetwork(general: GeneralSection, present: FleetNetwork | null, context: NetworkContext): FleetNetwork {
  const { driver, detected, host } = context;
  const isBridge = driver === NETWORK_DRIVER.bridge;
  const known = present?.driver === driver ? present : null;
  const net =
    general.subnet ?? (isBridge ? (known?.subnet ?? context.bridge_pool) : impliedSubnet(general, known, context));
  if (net === null) throw undetected('subnet', 'net');
  const subnet = parseSubnet(net, general.subnet === null ? `The subnet '${net}'` : '[general] net=');
  assertUsableSubnet(subnet, whereSubnet(general, net));
  const parent = isBridge
    ? (general.interface ?? known?.interface ?? '')
    : (general.interface ?? known?.interface ?? (interfaceWith(host, subnet) || detected?.interface));
  const gateways = isBridge ? [] : [...gatewaysOf(host, parent ?? ''), detected?.gateway];
  const gateway =
    general.gateway === null
      ? impliedGateway(subnet, driver, [known?.gateway, ...gateways])
      : checkedGateway(general.gateway, subnet, '[general] gw=');
  if (parent === undefined) throw undetected('interface', 'interface');
  return { driver, interface: parent, subnet: formatSubnet(subnet), gateway };
}

const isSame = (a: FleetNetwork, b: FleetNetwork | null): boolean =>
  b !== null && (['driver', 'interface', 'subnet', 'gateway'] as const).every((key) => a[key] === b[key]);

/** Throws NetworkConflict when the INI names another network than the fleet has (gap B13). */
function checkSameNetwork(general: GeneralSection, present: FleetNetwork): void {
  const differ = (key: string, wanted: string, has: string): DeckhandError =>
    conflict(
      `[general] ${key}=${wanted} differs from the fleet's ${has}. A fleet has one network: leave the key out, or submit with replace_fleet=true.`,
    );
  if (general.subnet !== null && formatSubnet(parseSubnet(general.subnet, '[general] net=')) !== present.subnet)
    throw differ('net', general.subnet, present.subnet);
  if (general.gateway !== null && formatAddress(parseAddress(general.gateway, '[general] gw=')) !== present.gateway)
    throw differ('gw', general.gateway, present.gateway);
  const usesInterface = present.driver !== NETWORK_DRIVER.bridge;
  if (usesInterface && general.interface !== null && general.interface !== present.interface)
    throw differ('interface', general.interface, present.interface);
}

/**
 * The network of a deploy. `present` is the fleet's, null where there is none; unless `replace`, it stays as it is and the
 * INI may only agree with it. `last`: the fleet's last network, of which something may be left on the engine when the fleet
 * is gone. Throws NetworkConflict and InvalidAddress.
 */
export function resolveNetwork(
  general: GeneralSection,
  present: FleetNetwork | null,
  replace: boolean,
  context: NetworkContext,
  last: FleetNetwork | null = present,
): ResolvedNetwork {
  const keep = present !== null && !replace;
  const driver = keep ? present.driver : context.driver;
  const warnings = checkInterface(general, driver, context);
  if (keep) {
    checkSameNetwork(general, present);
    return { network: present, warnings };
  }
  const network = newNetwork(general, present, context);
  // One that is there already is not made, and nobody loses by it what he had.
  if (isSame(network, present)) return { network, warnings };
  assertNothingInTheWay(network, context.host, last, whereSubnet(general, network.subnet));
  const foreign = foreignSubnet(network, context.host);
  return { network, warnings: foreign === null ? warnings : [...warnings, foreign] };
}

/**
 * What of a machine's networks stands in the way of a subnet for deckies. Pure: the facts come from
 * engine/host-networks.ts, for the machine that has the Docker Engine.
 */

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
