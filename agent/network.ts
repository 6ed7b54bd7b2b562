/** The network of this host's deckies: interface, subnet and gateway are always its own, whatever the order says (wire.md 3). */
import { detectNetwork } from '../adapters/network-detection.ts';
import { type FleetNetwork, NETWORK_DRIVER, type NetworkDriver } from '../fleet/config.ts';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { type NetworkContext, resolveNetwork } from '../fleet/network.ts';
import type { AgentConfig } from './config.ts';

/** Addresses of a bridge where DECKHAND_AGENT_NET names none. */
const BRIDGE_NET = '10.201.0.0/24';

export interface OwnNetwork {
  readonly network: FleetNetwork;
  /** The host's own address; null where it has none that could be told. */
  readonly hostIp: string | null;
}

/** A host that is set to bridge or ipvlan stays so; an order with `ipvlan` turns macvlan into ipvlan (gap B15). */
export function driverOf(setting: AgentConfig['network'], ipvlan: boolean): NetworkDriver {
  if (setting === 'bridge' || setting === 'ipvlan') return NETWORK_DRIVER[setting];
  return ipvlan ? NETWORK_DRIVER.ipvlan : NETWORK_DRIVER.macvlan;
}

/** Pure part of {@link ownNetwork}. Throws NetworkConflict. */
export function resolveOwnNetwork(net: string | null, context: NetworkContext): OwnNetwork {
  const general = { subnet: net, gateway: null, interface: null, mutate_interval: null };
  try {
    const { network } = resolveNetwork(general, null, true, context);
    return { network, hostIp: context.host_ip };
  } catch (error) {
    if (!isDeckhandError(error)) throw error;
    throw new DeckhandError(
      'NetworkConflict',
      `This host can’t tell which network its deckies belong to: ${error.message} On a host with an agent, set DECKHAND_NETWORK and DECKHAND_AGENT_NET in its environment.`,
      { cause: error },
    );
  }
}

/** Looks anew at each call. Throws NetworkConflict where the network can't be told. */
export async function ownNetwork(config: Pick<AgentConfig, 'network' | 'net'>, ipvlan: boolean): Promise<OwnNetwork> {
  return resolveOwnNetwork(config.net, await detectNetwork(driverOf(config.network, ipvlan), BRIDGE_NET));
}
