/** IPv4 arithmetic for one subnet; an address is an unsigned 32-bit number. Messages name what is wrong as Python's ipaddress does. */
import { DeckhandError } from './errors.ts';

export interface Subnet {
  readonly network: number;
  readonly broadcast: number;
  readonly prefix: number;
}

function octetProblem(octet: string): string | null {
  if (octet === '') return 'Empty octet not permitted';
  if (!/^[0-9]+$/.test(octet)) return `Only decimal digits permitted in '${octet}'`;
  if (octet.length > 3) return `At most 3 characters permitted in '${octet}'`;
  if (octet !== '0' && octet.startsWith('0')) return `Leading zeros are not permitted in '${octet}'`;
  return Number(octet) > 255 ? `Octet ${Number(octet)} (> 255) not permitted` : null;
}

/** Why a text is no IPv4 address; null when it is one. */
export function addressProblem(text: string): string | null {
  const octets = text.split('.');
  if (octets.length !== 4) return `Expected 4 octets in '${text}'`;
  const problem = octets.map(octetProblem).find((found) => found !== null);
  return problem === undefined ? null : `${problem} in '${text}'`;
}

/** Throws InvalidAddress; `where` begins the sentence ("[web] ip="). */
export function parseAddress(text: string, where: string): number {
  const problem = addressProblem(text);
  if (problem !== null) throw new DeckhandError('InvalidAddress', `${where} is no IPv4 address: ${problem}`);
  return text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

export const formatAddress = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');

/** `24`, or the mask `255.255.255.0`; null when it is neither. */
function parsePrefix(text: string): number | null {
  if (/^\d{1,2}$/.test(text)) return Number(text) <= 32 ? Number(text) : null;
  if (addressProblem(text) !== null) return null;
  const bits = parseAddress(text, 'mask').toString(2).padStart(32, '0');
  return /^1*0*$/.test(bits) ? bits.replaceAll('0', '').length : null;
}

/** Host bits are cleared; without a prefix it is a single address, /32. Throws InvalidAddress. */
export function parseSubnet(text: string, where: string): Subnet {
  const [base = '', prefixText = '32', ...rest] = text.split('/');
  const address = parseAddress(base, where);
  const prefix = parsePrefix(prefixText);
  if (prefix === null || rest.length > 0)
    throw new DeckhandError('InvalidAddress', `${where} is no subnet: '${text}'. Write it as 10.0.0.0/24.`);
  const size = 2 ** (32 - prefix);
  const network = address - (address % size);
  return { network, broadcast: network + size - 1, prefix };
}

export const formatSubnet = (subnet: Subnet): string => `${formatAddress(subnet.network)}/${subnet.prefix}`;

export const contains = (subnet: Subnet, address: number): boolean =>
  address >= subnet.network && address <= subnet.broadcast;

/** Lowest and highest host address; a /31 and a /32 have neither network nor broadcast address to leave out. */
export function hostRange(subnet: Subnet): { readonly first: number; readonly last: number } {
  const inset = subnet.prefix >= 31 ? 0 : 1;
  return { first: subnet.network + inset, last: subnet.broadcast - inset };
}

/** Host addresses, ascending. */
export function* addressesOf(subnet: Subnet): Generator<number> {
  const { first, last } = hostRange(subnet);
  for (let address = first; address <= last; address += 1) yield address;
}

/** Host addresses that are not taken, ascending; ends when the subnet is exhausted. */
export function* freeAddresses(subnet: Subnet, taken: ReadonlySet<number>): Generator<number, undefined> {
  for (const address of addressesOf(subnet)) if (!taken.has(address)) yield address;
  return undefined;
}
