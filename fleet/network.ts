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

/** The gateway that nobody named: bridge makes its own, macvlan and ipvlan need the one that is there. */
function impliedGateway(subnet: Subnet, driver: NetworkDriver, known: string | null): string {
  if (known !== null && contains(subnet, parseAddress(known, 'The known gateway')))
    return checkedGateway(known, subnet, 'The known gateway ');
  if (driver !== NETWORK_DRIVER.bridge) throw undetected(`gateway of ${formatSubnet(subnet)}`, 'gw');
  return formatAddress(hostRange(subnet).first);
}

/** A network of its own for the fleet: INI first, then `present` (that of the fleet which is replaced), then what was detected. */
function newNetwork(general: GeneralSection, present: FleetNetwork | null, context: NetworkContext): FleetNetwork {
  const { driver, detected } = context;
  const isBridge = driver === NETWORK_DRIVER.bridge;
  const known = present?.driver === driver ? present : null;
  const net = general.subnet ?? known?.subnet ?? (isBridge ? context.bridge_pool : detected?.subnet) ?? null;
  if (net === null) throw undetected('subnet', 'net');
  const subnet = parseSubnet(net, general.subnet === null ? `The subnet '${net}'` : '[general] net=');
  const gateway =
    general.gateway === null
      ? impliedGateway(subnet, driver, known?.gateway ?? (isBridge ? null : (detected?.gateway ?? null)))
      : checkedGateway(general.gateway, subnet, '[general] gw=');
  const parent = general.interface ?? known?.interface ?? (isBridge ? '' : detected?.interface);
  if (parent === undefined) throw undetected('interface', 'interface');
  return { driver, interface: parent, subnet: formatSubnet(subnet), gateway };
}

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
 * INI may only agree with it. Throws NetworkConflict and InvalidAddress.
 */
export function resolveNetwork(
  general: GeneralSection,
  present: FleetNetwork | null,
  replace: boolean,
  context: NetworkContext,
): ResolvedNetwork {
  const keep = present !== null && !replace;
  const driver = keep ? present.driver : context.driver;
  const warnings = checkInterface(general, driver, context);
  if (!keep) return { network: newNetwork(general, present, context), warnings };
  checkSameNetwork(general, present);
  return { network: present, warnings };
}
