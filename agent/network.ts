/** The network of this host's deckies: interface, subnet and gateway are always its own, whatever the order says (docs/wire.md#the-agent). */
import { networkNameOf } from '../engine/engine.ts';
import { detectNetwork, type EngineAsked } from '../engine/host-networks.ts';
import { type FleetNetwork, NETWORK_DRIVER, type NetworkDriver } from '../fleet/config.ts';
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

/** Looks anew at each call. Throws NetworkConflict or InvalidAddress where the network can’t be told, or can’t be. */
export async function ownNetwork(
  config: Pick<AgentConfig, 'network' | 'net' | 'engine'>,
  ipvlan: boolean,
): Promise<OwnNetwork> {
  const driver = driverOf(config.network, ipvlan);
  return resolveOwnNetwork(config.net, await detectNetwork(driver, BRIDGE_NET, engineAsked(config.engine)));
}
