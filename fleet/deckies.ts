/** From an INI to the deckies that should be (config.md 3, with what ours.md mends). */
import { formatAddress } from './addresses.ts';
import { type AddressOptions, assignAddresses } from './assign-addresses.ts';
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
import type { CustomService, DeckyConfig, DesiredDecky } from './config.ts';
import { drawHostname, drawServices } from './draw.ts';
import { DeckhandError } from './errors.ts';
import { type ExpandedDecky, expandSections } from './expand.ts';
import type { IniConfig } from './ini.ts';
import { assertNamesApart } from './names.ts';
import { quote, quoteList } from './quote.ts';
import type { Random } from './random.ts';
import { serviceSettings } from './service-config.ts';

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
