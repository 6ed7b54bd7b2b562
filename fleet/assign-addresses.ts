/** Which address each decky of a request gets (config.md 3, step 4; ours.md for what is refused). */
import { contains, formatSubnet, freeHosts, hostRange, parseAddress, parseSubnet, type Subnet } from './addresses.ts';
import type { DeckyConfig } from './config.ts';
import { DeckhandError } from './errors.ts';
import type { ExpandedDecky } from './expand.ts';
import { quote } from './quote.ts';

export interface AddressOptions {
  /** CIDR. */
  readonly subnet: string;
  readonly gateway: string;
  /** Every address of the engine's machine; those outside the subnet don't matter. */
  readonly hostAddresses: readonly string[];
  /** Addresses of deckies that stay beside these. */
  readonly reserved: readonly string[];
  /** Deckies that are replaced, by name: one that comes again keeps what the INI does not decide. */
  readonly existing?: ReadonlyMap<string, DeckyConfig>;
}

/** The addresses that no decky can have, each with the reason that ends "is …". */
function forbiddenAddresses(subnet: Subnet, options: AddressOptions): ReadonlyMap<number, string> {
  const forbidden = new Map<number, string>();
  const { first, last } = hostRange(subnet);
  if (first > subnet.network) forbidden.set(subnet.network, 'the address of the network itself');
  if (last < subnet.broadcast) forbidden.set(subnet.broadcast, 'the broadcast address');
  for (const address of options.hostAddresses)
    forbidden.set(parseAddress(address, 'A host address'), "this host's own");
  forbidden.set(parseAddress(options.gateway, '[general] gw='), "the gateway's");
  return forbidden;
}

/** The addresses that the INI names, checked (gap C20). */
function explicitAddresses(
  deckies: readonly ExpandedDecky[],
  subnet: Subnet,
  forbidden: ReadonlyMap<number, string>,
  reserved: ReadonlySet<number>,
): ReadonlyMap<string, number> {
  const holders = new Map<number, string>();
  const refuse = (what: string): DeckhandError => new DeckhandError('InvalidAddress', what);
  const explicit = new Map<string, number>();
  for (const { name, section } of deckies) {
    if (section.ip === null) continue;
    const where = `[${section.name}] ip=`;
    const address = parseAddress(section.ip, where);
    if (!contains(subnet, address))
      throw refuse(`${where}${section.ip} lies outside the subnet ${formatSubnet(subnet)}. Choose one inside.`);
    const reason = forbidden.get(address);
    if (reason !== undefined) throw refuse(`${where}${section.ip} is ${reason}. Choose another.`);
    const holder = holders.get(address);
    if (holder !== undefined)
      throw refuse(`${where}${section.ip} is wanted by [${holder}] too. Give each decky an address of its own.`);
    if (reserved.has(address))
      throw new DeckhandError('AddressInUse', `IP ${section.ip} is already in use by an existing decky`);
    holders.set(address, section.name);
    explicit.set(name, address);
  }
  return explicit;
}

/** Explicit as given, kept where still allowed, else the next free one. Throws InvalidAddress, AddressInUse, PoolExhausted. */
export function assignAddresses(
  deckies: readonly ExpandedDecky[],
  options: AddressOptions,
): ReadonlyMap<string, number> {
  const subnet = parseSubnet(options.subnet, '[general] net=');
  const forbidden = forbiddenAddresses(subnet, options);
  const reserved = new Set(options.reserved.map((ip) => parseAddress(ip, 'A reserved address')));
  const assigned = new Map(explicitAddresses(deckies, subnet, forbidden, reserved));
  const taken = new Set([...forbidden.keys(), ...reserved, ...assigned.values()]);
  for (const { name } of deckies) {
    const before = options.existing?.get(name)?.ip;
    if (assigned.has(name) || before === undefined) continue;
    const address = parseAddress(before, `The address of ${quote(name)}`);
    const { first, last } = hostRange(subnet);
    if (address < first || address > last || taken.has(address)) continue;
    taken.add(address);
    assigned.set(name, address);
  }
  const free = freeHosts(subnet, taken);
  for (const { name } of deckies) {
    if (assigned.has(name)) continue;
    const address = free.next().value;
    if (address === undefined)
      throw new DeckhandError(
        'PoolExhausted',
        `The subnet ${formatSubnet(subnet)} has no free address left for the decky ${quote(name)}. Use a larger net, or fewer deckies.`,
      );
    assigned.set(name, address);
  }
  return assigned;
}
