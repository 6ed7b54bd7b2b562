/**
 * The addresses of a host's deckies. Where the order's subnet is the host's own, the order's addresses stand, but for one that
 * no decky can have here: the host's, the gateway's, one outside. Else each decky keeps what it had here, and new ones take
 * what is free: nobody's address changes because others come or go (gap B12).
 */
import {
  contains,
  formatAddress,
  freeHosts,
  hostRange,
  parseAddress,
  parseSubnet,
  type Subnet,
} from '../fleet/addresses.ts';
import type { DeckyConfig, FleetNetwork } from '../fleet/config.ts';
import type { OwnNetwork } from './network.ts';

export interface Relocalized {
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
  const free = freeHosts(own, taken);
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
