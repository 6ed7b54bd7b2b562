/** Which network a deploy uses: that of the fleet, that of the INI, what was detected, or the embedded stack's pool. */
import { formatAddress, formatSubnet, hostRange, parseAddress, parseSubnet, type Subnet } from './addresses.ts';
import { type FleetNetwork, NETWORK_DRIVER, type NetworkDriver } from './config.ts';
import { DeckhandError } from './errors.ts';
import {
  assertNothingInTheWay,
  assertUsableSubnet,
  foreignSubnet,
  gatewaysOf,
  type HostNetworks,
  interfaceWith,
  isHostAddressOf,
  subnetOfInterface,
} from './host-networks.ts';
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
