/** Names and addresses that a host may have (wire.md 4.1), and those that belong to the master itself (ours.md). */
import { MASTER_NAME, SWARMCTL_NAME } from './agent-wire.ts';
import { DeckhandError } from './errors.ts';

/** A host's name: 1 to 64 characters. */
export const HOST_NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** A host's address, and each of its further names: an IP or a DNS name, 1 to 253 characters. */
export const HOST_ADDRESS_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$/;
/** `agent_name` of DECNET's bundle flow (wire.md 4.4). */
export const BUNDLE_NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** DECNET's updater is a client of its own on each host: `updater@<host>`. */
const UPDATER_PREFIX = 'updater';

/** True for names of the master's own, in any case, and with the dot that may end a DNS name. */
export function isReservedName(name: string): boolean {
  const plain = name.toLowerCase().replace(/\.+$/, '');
  return plain === MASTER_NAME || plain === SWARMCTL_NAME || plain.startsWith(UPDATER_PREFIX);
}

/** Throws HostNameReserved when one of the names that a host's certificate would carry is the master's own. */
export function refuseReservedNames(host: {
  readonly name: string;
  readonly address?: string;
  readonly sans?: readonly string[];
}): void {
  const names = [host.name, ...(host.address === undefined ? [] : [host.address]), ...(host.sans ?? [])];
  const reserved = names.find(isReservedName);
  if (reserved === undefined) return;
  throw new DeckhandError('HostNameReserved', `The name '${reserved}' belongs to the master itself. Choose another.`);
}
