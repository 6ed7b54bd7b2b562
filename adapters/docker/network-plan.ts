/** What to do about the fleet's one network on an engine. Pure; network.ts does it. */
import { BlockList } from 'node:net';
import type { FleetNetwork } from '../../fleet/config.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import type { EngineScope } from './engine.ts';
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

function contains(subnet: string, address: string): boolean {
  const [network = '', prefix = ''] = subnet.split('/');
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), 'ipv4');
  return list.check(address, 'ipv4');
}

/** Whether two IPv4 subnets share an address; false for anything that is no IPv4 CIDR. */
export function overlaps(a: string, b: string): boolean {
  const networkOf = (subnet: string): string => subnet.split('/')[0] ?? '';
  try {
    return contains(a, networkOf(b)) || contains(b, networkOf(a));
  } catch {
    return false;
  }
}
