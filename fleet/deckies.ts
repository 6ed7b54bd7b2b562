/** From an INI to the deckies that should be (docs/configuration.md#from-sections-to-deckies). */
import {
  contains,
  formatAddress,
  formatSubnet,
  freeAddresses,
  hostRange,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './addresses.ts';
import {
  ARCHETYPE_SLUGS,
  type Archetype,
  archetypeBySlug,
  DEFAULT_NMAP_OS,
  DISTROS,
  type Distro,
  distroBySlug,
  NMAP_OS_FAMILIES,
  SELECTABLE_SERVICES,
  serviceByName,
} from './catalog.ts';
import type { CustomService, DeckyConfig, DesiredDecky, ServiceConfig } from './config.ts';
import { drawHostname, drawServices, type Random } from './draw.ts';
import { DeckhandError } from './errors.ts';
import type { DeckySection, IniConfig, ServiceSection } from './ini.ts';
import { assertDeckyName, assertNamesApart } from './names.ts';
import { serviceSettings } from './service-config.ts';
import { quote, quoteList, shorten } from './text.ts';
import { nearWord } from './typos.ts';
import { Warnings } from './warnings.ts';

export interface BuildOptions extends AddressOptions {
  readonly random: Random;
}

function archetypeOf({ section }: ExpandedDecky): Archetype | null {
  if (section.archetype === null) return null;
  const archetype = archetypeBySlug(section.archetype);
  if (!archetype)
    throw new DeckhandError(
      'InvalidDecky',
      `Unknown archetype ${quote(section.archetype)}. Available: ${ARCHETYPE_SLUGS.join(', ')}`,
    );
  return archetype;
}

/** The position in the whole submission decides, not that within a group; a decky that comes again keeps its distro. */
function distroOf(archetype: Archetype | null, index: number, before: DeckyConfig | undefined): Distro {
  const pool = archetype ? archetype.preferred_distros.flatMap((slug) => distroBySlug(slug) ?? []) : DISTROS;
  const kept = before && pool.find((distro) => distro.slug === before.distro);
  const distro = kept ?? pool[index % pool.length];
  if (!distro) throw new DeckhandError('Internal', `The archetype ${archetype?.slug} has no distro.`);
  return distro;
}

function servicesOf(
  decky: ExpandedDecky,
  archetype: Archetype | null,
  custom: ReadonlyMap<string, CustomService>,
  before: DeckyConfig | undefined,
  random: Random,
): readonly string[] {
  const isKnown = (name: string): boolean => custom.has(name) || serviceByName(name)?.selectable_for_deckies === true;
  const { services, name } = decky.section;
  if (services !== null) {
    const unknown = services.filter((service) => !isKnown(service));
    if (unknown.length === 0) return services;
    const available = [...SELECTABLE_SERVICES, ...custom.keys()].sort();
    throw new DeckhandError(
      'InvalidDecky',
      `Unknown service(s) in [${name}]: ${quoteList(unknown)}. Available: ${quoteList(available)}`,
    );
  }
  if (archetype) return archetype.services;
  if (before && before.archetype === null && before.services.length > 0 && before.services.every(isKnown))
    return before.services;
  return drawServices(random);
}

function nmapOsOf({ section }: ExpandedDecky, archetype: Archetype | null): string {
  if (section.nmap_os !== null && !NMAP_OS_FAMILIES.includes(section.nmap_os))
    throw new DeckhandError(
      'InvalidDecky',
      `[${section.name}] nmap_os=${quote(section.nmap_os)} is unknown. Available: ${NMAP_OS_FAMILIES.join(', ')}`,
    );
  return section.nmap_os ?? archetype?.nmap_os ?? DEFAULT_NMAP_OS;
}

/**
 * Finds settings that have no such type now, so that the request is refused and not the container. The deckies of a group
 * share their values, and each of them is looked at once.
 */
function settingsCheck(): (decky: DeckyConfig) => void {
  const checked = new Map<string, Set<unknown>>();
  const isNew = (key: string, value: unknown): boolean => {
    const values = checked.get(key) ?? new Set();
    checked.set(key, values);
    return values.size < values.add(value).size;
  };
  return (decky) => {
    for (const [name, values] of Object.entries(decky.service_config)) {
      const service = serviceByName(name);
      if (!service) continue;
      const fresh = Object.entries(values).filter(([key, value]) => isNew(`${name} ${key}`, value));
      serviceSettings(service, Object.fromEntries(fresh), decky.name);
    }
  };
}

/**
 * Builds what an INI asks for, in its order. Pure: `random` decides hostnames and drawn services. Throws InvalidDecky,
 * InvalidAddress, AddressInUse and PoolExhausted; container names are checked among these deckies only.
 */
export function buildDeckies(ini: IniConfig, options: BuildOptions): DesiredDecky[] {
  const { deckies } = expandSections(ini);
  const custom = new Map(ini.custom_services.map((service) => [service.name, service]));
  const drafts = deckies.map((decky, index) => {
    const before = options.existing?.get(decky.name);
    const archetype = archetypeOf(decky);
    const distro = distroOf(archetype, index, before);
    const hostname = before?.hostname ?? drawHostname(distro, options.random);
    const services = servicesOf(decky, archetype, custom, before, options.random);
    return { decky, distro, hostname, services, nmap_os: nmapOsOf(decky, archetype) };
  });
  const addresses = assignAddresses(deckies, options);
  const checkSettings = settingsCheck();
  const desired = drafts.map(({ decky, distro, hostname, services, nmap_os }): DesiredDecky => {
    const config: DeckyConfig = {
      name: decky.name,
      ip: formatAddress(addresses.get(decky.name) ?? 0),
      services,
      distro: distro.slug,
      base_image: distro.image,
      build_base: distro.build_base,
      hostname,
      archetype: decky.section.archetype,
      service_config: decky.service_config,
      nmap_os,
      mutate_interval: decky.section.mutate_interval ?? ini.general.mutate_interval,
      last_mutated: 0,
      last_login_attempt: 0,
      host_uuid: null,
    };
    checkSettings(config);
    return { config, custom_services: [...new Set(services)].flatMap((name) => custom.get(name) ?? []) };
  });
  assertNamesApart(desired.map(({ config }) => config));
  return desired;
}

/** From the sections of an INI to one entry a decky: amounts, names, and the service configuration that reaches each. */

/** Among how many names one is looked for that was perhaps meant. */
const MOST_OWNERS = 200;

export interface ExpandedDecky {
  readonly name: string;
  readonly section: DeckySection;
  readonly service_config: ServiceConfig;
}

export interface Expansion {
  /** In INI order. */
  readonly deckies: readonly ExpandedDecky[];
  readonly warnings: Warnings;
}

/** How many deckies an INI asks for; known before any of them is made. */
export const requestedCount = (ini: IniConfig): number =>
  ini.deckies.reduce((total, section) => total + section.amount, 0);

const namesOf = (section: DeckySection): readonly string[] =>
  section.amount === 1
    ? [section.name]
    : Array.from({ length: section.amount }, (_, index) => `${section.name}-${String(index + 1).padStart(2, '0')}`);

const describe = (section: DeckySection): string =>
  section.amount === 1 ? `[${section.name}]` : `[${section.name}] amount=${section.amount}`;

/** Throws InvalidDecky when two sections make one name (gap A11). */
function nameDeckies(sections: readonly DeckySection[]): ReadonlyMap<string, DeckySection> {
  const named = new Map<string, DeckySection>();
  for (const section of sections) {
    for (const name of namesOf(section)) {
      assertDeckyName(name);
      const first = named.get(name);
      if (first)
        throw new DeckhandError(
          'InvalidDecky',
          `The decky name '${name}' is made twice, by ${describe(first)} and by ${describe(section)}. Rename one of them.`,
        );
      named.set(name, section);
    }
  }
  return named;
}

function merge(sections: readonly ServiceSection[]): Map<string, ServiceConfig> {
  const byOwner = new Map<string, Record<string, Record<string, string>>>();
  for (const { owner, service, values } of sections)
    byOwner.set(owner, { ...byOwner.get(owner), [service]: { ...byOwner.get(owner)?.[service], ...values } });
  return byOwner;
}

/** The decky's own sub-section wins over its group's, key by key. */
function combine(group: ServiceConfig | undefined, own: ServiceConfig | undefined): ServiceConfig {
  const combined: Record<string, Readonly<Record<string, unknown>>> = { ...group };
  for (const [service, values] of Object.entries(own ?? {})) combined[service] = { ...combined[service], ...values };
  return combined;
}

/** The services that a section's deckies will have; null where they are drawn, or kept from before. */
const settledServices = ({ services, archetype }: DeckySection): readonly string[] | null =>
  services ?? (archetype === null ? null : (archetypeBySlug(archetype)?.services ?? null));

/**
 * Names each decky once (`web` with amount 3 → `web-01` … `web-03`). A sub-section `[P.svc]` reaches the decky P, or the
 * deckies of the group P and no others; one that reaches nobody is ignored with a warning.
 */
export function expandSections(ini: IniConfig): Expansion {
  const named = nameDeckies(ini.deckies);
  const configs = merge(ini.service_sections);
  const groups = new Set(ini.deckies.filter((section) => section.amount > 1).map((section) => section.name));
  const deckies = [...named].map(([name, section]) => ({
    name,
    section,
    service_config: combine(section.amount > 1 ? configs.get(section.name) : undefined, configs.get(name)),
  }));
  const warnings = new Warnings();
  const sections = new Map(ini.deckies.map((section) => [section.name, section]));
  for (const { owner, service, line } of ini.service_sections) {
    const section = named.get(owner) ?? sections.get(owner);
    if (section === undefined)
      warnings.add(null, () => {
        const near = nearWord(owner, [...groups, ...named.keys()].slice(0, MOST_OWNERS));
        const meant = near === null ? '' : ` Did you mean [${near}.${service}]?`;
        return `[${shorten(owner)}.${service}] (line ${line}) configures no decky of this INI and was ignored.${meant}`;
      });
    else if (settledServices(section)?.includes(service) === false)
      warnings.add(
        section.name,
        () =>
          `[${shorten(owner)}.${service}] (line ${line}) configures a service that [${section.name}] does not have. It takes effect only if a mutation brings ${service}.`,
      );
  }
  return { deckies, warnings };
}

/** Which address each decky of a request gets (docs/configuration.md#from-sections-to-deckies). */

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
  const free = freeAddresses(subnet, taken);
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
