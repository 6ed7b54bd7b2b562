/**
 * What the helper interface of this machine should be, and the `ip` commands that make it so. Under macvlan and ipvlan a host
 * can't reach containers by their parent interface. A sibling of theirs on the same parent can, and carries a route to each.
 * Pure; helper-interface.ts does it.
 */
import { createHash } from 'node:crypto';

export type HelperDriver = 'macvlan' | 'ipvlan';

export interface DesiredHelper {
  readonly name: string;
  /** The name that the helper would have under the other driver: that one goes. */
  readonly other: string;
  readonly driver: HelperDriver;
  readonly parent: string;
  /** The host's own address on the parent. */
  readonly address: string;
  /** Addresses of running deckies, in any order. */
  readonly deckies: readonly string[];
}

/** What the kernel has. */
export interface CurrentHelper {
  readonly driver: string;
  readonly parent: string;
  readonly up: boolean;
  /** With their prefixes. */
  readonly addresses: readonly string[];
  /** Destinations, with a prefix unless it is 32. */
  readonly routes: readonly string[];
}

/** Names of interfaces have 15 characters at most. */
const LONGEST_NAME = 15;
const NETWORK_OF_DECNET = 'decnet_lan';

/** DECNET's name for DECNET's network; another network of this machine has a helper of its own. */
export function helperName(networkName: string, driver: HelperDriver): string {
  if (networkName === NETWORK_OF_DECNET) return `decnet_${driver}0`;
  const hash = createHash('sha256').update(networkName).digest('hex').slice(0, 8);
  return `dh_${hash}_${driver}`.slice(0, LONGEST_NAME);
}

const bare = (destination: string): string => destination.replace(/\/32$/, '');

/** Arguments of `ip`, one command an entry; none where all is as it should be. */
export function planHelper(desired: DesiredHelper, current: CurrentHelper | null, otherExists: boolean): string[][] {
  const { name, driver, parent, address } = desired;
  const steps: string[][] = [];
  if (otherExists) steps.push(['link', 'delete', desired.other]);
  const fits = current !== null && current.driver === driver && current.parent === parent;
  if (current !== null && !fits) steps.push(['link', 'delete', name]);
  const kept = fits ? current : null;
  const mode = driver === 'macvlan' ? 'bridge' : 'l2';
  if (kept === null) steps.push(['link', 'add', name, 'link', parent, 'type', driver, 'mode', mode]);
  for (const old of kept?.addresses ?? [])
    if (old !== `${address}/32`) steps.push(['address', 'delete', old, 'dev', name]);
  if (!kept?.addresses.includes(`${address}/32`)) steps.push(['address', 'replace', `${address}/32`, 'dev', name]);
  if (!kept?.up) steps.push(['link', 'set', name, 'up']);
  const wanted = new Set(desired.deckies.map(bare));
  const there = new Set((kept?.routes ?? []).map(bare));
  // Some of the routes went with the address: none is left in the way of what follows.
  const anew = steps.some(([what, verb]) => what === 'address' && verb === 'delete');
  if (anew) steps.push(['route', 'flush', 'dev', name]);
  else for (const route of there) if (!wanted.has(route)) steps.push(['route', 'delete', route, 'dev', name]);
  for (const route of wanted)
    if (anew || !there.has(route)) steps.push(['route', 'replace', route, 'dev', name, 'src', address]);
  return steps;
}
