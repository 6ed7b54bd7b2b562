/** What to do about the fleet's one network on an engine. Pure; network.ts does it. */
import { parseSubnet, type Subnet } from '../../fleet/addresses.ts';
import { type FleetNetwork, NETWORK_DRIVER } from '../../fleet/config.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { overlap } from '../../fleet/network.ts';
import type { EngineScope } from '../engine.ts';
import { LABEL, ownerInWords } from './labels.ts';

/** A network as the engine's inspection shows it. */
export interface CurrentNetwork {
  readonly id: string;
  readonly driver: string;
  readonly subnet: string;
  readonly gateway: string;
  /** Interface under macvlan and ipvlan; empty for bridge. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type NetworkPlan =
  | { readonly kind: 'keep'; readonly id: string }
  | { readonly kind: 'create'; readonly reason: string }
  | { readonly kind: 'replace'; readonly id: string; readonly reason: string };

const isOurs = (labels: CurrentNetwork['labels'], scope: EngineScope): boolean =>
  labels[LABEL.instance] === scope.instance && labels[LABEL.project] === scope.project;

function networkDifferences(desired: FleetNetwork, current: CurrentNetwork): string[] {
  const found: string[] = [];
  const compare = (what: string, is: string, should: string): void => {
    if (is !== should) found.push(`its ${what} is ${is || 'none'}, not ${should}`);
  };
  compare('driver', current.driver, desired.driver);
  compare('subnet', current.subnet, desired.subnet);
  compare('gateway', current.gateway, desired.gateway);
  if (desired.driver !== 'bridge') compare('interface', current.parent, desired.interface);
  return found;
}

/** Throws NameTaken when the network of that name is not this project's. */
export function planNetwork(
  name: string,
  desired: FleetNetwork,
  current: CurrentNetwork | null,
  scope: EngineScope,
): NetworkPlan {
  if (!current) return { kind: 'create', reason: 'it is missing' };
  if (!isOurs(current.labels, scope))
    throw new DeckhandError(
      'NameTaken',
      `network ${name} belongs to ${ownerInWords(current.labels)}; it was not touched. ` +
        'Remove it, or set DECKHAND_PROJECT to a name of your own.',
    );
  const found = networkDifferences(desired, current);
  return found.length === 0
    ? { kind: 'keep', id: current.id }
    : { kind: 'replace', id: current.id, reason: found.join(', ') };
}

const NEVER = { network: 1, broadcast: 0, prefix: 32 };

const subnetOf = (text: string): Subnet => {
  try {
    return parseSubnet(text, 'A subnet');
  } catch {
    return NEVER;
  }
};

/** Whether two IPv4 subnets share an address; false for anything that is no IPv4 CIDR. */
export function overlaps(a: string, b: string): boolean {
  const [one, other] = [subnetOf(a), subnetOf(b)];
  return one !== NEVER && other !== NEVER && overlap(one, other);
}

/** The network as the fleet would have it; null where it is none that a fleet can have. */
export function asFleetNetwork({ driver, parent, subnet, gateway }: CurrentNetwork): FleetNetwork | null {
  const known = Object.values(NETWORK_DRIVER).find((one) => one === driver);
  return known === undefined || subnet === '' || gateway === ''
    ? null
    : { driver: known, interface: parent, subnet, gateway };
}

/**
 * Whether a network can be tried out beside the one that it is to replace: the engine gives no address and, outside of
 * bridge, no interface to two networks.
 */
export const canStandBeside = (desired: FleetNetwork, current: CurrentNetwork): boolean =>
  !overlaps(desired.subnet, current.subnet) && (desired.driver === 'bridge' || desired.interface !== current.parent);
