/** Which deckies have to leave their address before others can have it: a removal comes before the creation that needs it. */
import type { DeckySpec } from './compose.ts';

export interface AddressOf {
  readonly decky: string;
  readonly address: string;
}

/**
 * Deckies that hold an address which another one is to have, in the order of `held`. `wanted`: the address of each decky that
 * will run; `held`: the addresses that containers have now. Whoever keeps its address is in nobody's way.
 */
export function inTheWay(wanted: readonly AddressOf[], held: readonly AddressOf[]): string[] {
  const owners = new Map(wanted.map(({ decky, address }) => [address, decky]));
  const holders = held.filter(({ decky, address }) => {
    const owner = owners.get(address);
    return owner !== undefined && owner !== decky;
  });
  return [...new Set(holders.map(({ decky }) => decky))];
}

/** The address that a decky is to have. */
export const wantedAddress = (spec: DeckySpec): AddressOf[] =>
  Object.values(spec.services[spec.keys[0]]?.networks ?? {}).map(({ ipv4_address: address }) => ({
    decky: spec.decky,
    address,
  }));

/** The addresses that a decky's containers have. */
export const heldAddresses = (seen: {
  readonly decky: string;
  readonly containers: readonly { readonly ip: string | null }[];
}): AddressOf[] => seen.containers.flatMap(({ ip }) => (ip === null ? [] : [{ decky: seen.decky, address: ip }]));
