/**
 * The network and the addresses of this host's deckies.
 *
 * 1. Interface, subnet and gateway are always the host's own, whatever the order says (docs/wire.md#the-agent).
 * 2. Addresses. Where the order's subnet is the host's own, the order's addresses stand, except those that no decky can have
 *    here: the host's, the gateway's, and any outside. Otherwise each decky keeps the address that it had here, and new ones
 *    take a free one. So nobody's address changes because others come or go (gap B12).
 */
import { networkNameOf } from '../engine/engine.ts';
import { detectNetwork, type EngineAsked } from '../engine/host-networks.ts';
import {
  contains,
  formatAddress,
  freeAddresses,
  hostRange,
  parseAddress,
  parseSubnet,
  type Subnet,
} from '../fleet/addresses.ts';
import { type DeckyConfig, type FleetNetwork, NETWORK_DRIVER, type NetworkDriver } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { hostAddresses, type NetworkContext, resolveNetwork } from '../fleet/network.ts';
import type { AgentConfig } from './config.ts';

/** Addresses of a bridge where DECKHAND_AGENT_NET names none. */
const BRIDGE_NET = '10.201.0.0/24';

export interface OwnNetwork {
  readonly network: FleetNetwork;
  /** Every address of the host; no decky gets one of them. */
  readonly hostAddresses: readonly string[];
}

/** A host that is set to bridge or ipvlan stays so; an order with `ipvlan` turns macvlan into ipvlan (gap B15). */
export function driverOf(setting: AgentConfig['network'], ipvlan: boolean): NetworkDriver {
  if (setting === 'bridge' || setting === 'ipvlan') return NETWORK_DRIVER[setting];
  return ipvlan ? NETWORK_DRIVER.ipvlan : NETWORK_DRIVER.macvlan;
}

/** Pure part of {@link ownNetwork}. Throws NetworkConflict and InvalidAddress. */
export function resolveOwnNetwork(net: string | null, context: NetworkContext): OwnNetwork {
  const general = { subnet: net, gateway: null, interface: null, mutate_interval: null };
  try {
    const { network } = resolveNetwork(general, null, true, context);
    const own = context.host_ip === null ? [] : [context.host_ip];
    return { network, hostAddresses: [...new Set([...own, ...hostAddresses(context.host, network)])] };
  } catch (error) {
    if (!isDeckhandError(error)) throw error;
    throw new DeckhandError(
      error.code,
      `The network of this host’s deckies: ${error.message} On a host with an agent, set DECKHAND_NETWORK and DECKHAND_AGENT_NET in its environment.`,
      { cause: error },
    );
  }
}

/** Null where deckies are simulated. */
function engineAsked({ engine, dockerHost, instance, project, ...more }: AgentConfig['engine']): EngineAsked | null {
  if (engine === 'simulated') return null;
  const networkName = networkNameOf({ instance, project, ...more });
  return { dockerHost, owner: { instance, project, networkName } };
}

/** Detects the network at each call. Throws NetworkConflict or InvalidAddress where the network can’t be told, or can’t be. */
export async function ownNetwork(
  config: Pick<AgentConfig, 'network' | 'net' | 'engine'>,
  ipvlan: boolean,
): Promise<OwnNetwork> {
  const driver = driverOf(config.network, ipvlan);
  return resolveOwnNetwork(config.net, await detectNetwork(driver, BRIDGE_NET, engineAsked(config.engine)));
}

// 2. Addresses

interface Relocalized {
  /** By name; a decky for which the subnet has no address left is missing. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly exhausted: readonly string[];
}

/** `before`: the addresses that deckies have on this host, by name. `orderSubnet` is a CIDR and may be nonsense. */
export function relocalize(
  deckies: readonly Pick<DeckyConfig, 'name' | 'ip'>[],
  orderSubnet: string,
  { network, hostAddresses }: OwnNetwork,
  before: ReadonlyMap<string, string>,
): Relocalized {
  const own = parseSubnet(network.subnet, 'The subnet of this host');
  const taken = reserved(own, network, hostAddresses);
  const addresses = new Map<string, string>();
  const take = (name: string, text: string | undefined): void => {
    const address = text === undefined ? null : usable(text, own);
    if (address === null || taken.has(address) || addresses.has(name)) return;
    taken.add(address);
    addresses.set(name, formatAddress(address));
  };
  const asOrdered = (): void => {
    for (const { name, ip } of deckies) take(name, ip);
  };
  if (sameSubnet(orderSubnet, own)) asOrdered();
  for (const { name } of deckies) take(name, before.get(name));
  asOrdered();
  const free = freeAddresses(own, taken);
  const exhausted: string[] = [];
  for (const { name } of deckies) {
    if (addresses.has(name)) continue;
    const address = free.next().value;
    if (address === undefined) exhausted.push(name);
    else addresses.set(name, formatAddress(address));
  }
  return { addresses, exhausted };
}

function sameSubnet(text: string, own: Subnet): boolean {
  try {
    const subnet = parseSubnet(text, 'The subnet of the order');
    return subnet.network === own.network && subnet.prefix === own.prefix;
  } catch {
    return false;
  }
}

/** Null for what is no host address of the subnet. */
function usable(text: string, own: Subnet): number | null {
  try {
    const address = parseAddress(text, 'An address');
    const { first, last } = hostRange(own);
    return address >= first && address <= last ? address : null;
  } catch {
    return null;
  }
}

function reserved(own: Subnet, network: FleetNetwork, hostAddresses: readonly string[]): Set<number> {
  const fixed = [network.gateway, ...hostAddresses].map((ip) => parseAddress(ip, 'An address of this host'));
  return new Set(fixed.filter((ip) => contains(own, ip)));
}
