/** What the sections of a deploy INI mean (docs/configuration.md#sections); ini-text.ts reads the text itself. */
import { serviceByName } from './catalog.ts';
import type { CustomService } from './config.ts';
import { LONGEST_INTERVAL_MINUTES } from './durations.ts';
import { DeckhandError } from './errors.ts';
import { parseImageReference } from './image-reference.ts';
import { type IniSection, type IniText, readIniText, readValue } from './ini-text.ts';
import { LIMITS } from './limits.ts';
import { assertDeckyName } from './names.ts';
import { quote, shorten } from './text.ts';
import { CUSTOM_PREFIX, findTypos, type NamedSection, type SectionKind } from './typos.ts';
import { Warnings } from './warnings.ts';

export interface GeneralSection {
  readonly subnet: string | null;
  readonly gateway: string | null;
  readonly interface: string | null;
  /** Minutes. */
  readonly mutate_interval: number | null;
}

/** A decky, or a group of `amount` deckies. Null means that the section does not say. */
export interface DeckySection {
  readonly name: string;
  readonly ip: string | null;
  readonly services: readonly string[] | null;
  readonly archetype: string | null;
  readonly amount: number;
  readonly nmap_os: string | null;
  readonly mutate_interval: number | null;
}

/** A `[owner.service]` section; its values are texts, as they go over the wire. */
export interface ServiceSection {
  readonly owner: string;
  readonly service: string;
  readonly values: Readonly<Record<string, string>>;
  readonly line: number;
}

export interface IniConfig {
  readonly general: GeneralSection;
  readonly deckies: readonly DeckySection[];
  readonly service_sections: readonly ServiceSection[];
  readonly custom_services: readonly CustomService[];
  readonly warnings: Warnings;
}

/** More than any decky, service or fleet has, and few enough that reading them costs nothing. */
const MOST_SERVICES = 100;
const MOST_PORTS = 1_000;
const MOST_SETTINGS = 100;
const MOST_CUSTOM_SERVICES = 1_000;
const MOST_SERVICE_SECTIONS = 20_000;

/** A section with its keys read, [DEFAULT] included. */
class Keys {
  private readonly ini: IniText;
  private readonly section: IniSection;
  constructor(ini: IniText, section: IniSection) {
    this.ini = ini;
    this.section = section;
  }
  get(name: string): string | null {
    return readValue(this.ini, this.section, name) ?? null;
  }
  /** Where the key stands, in the section or in [DEFAULT]. */
  line(name: string): number {
    return (this.section.options.get(name) ?? this.ini.defaults.get(name))?.line ?? this.section.line;
  }
  /** The first that is not empty: an empty value counts as none. */
  text(...names: readonly string[]): string | null {
    for (const name of names) {
      const value = this.get(name);
      if (value) return value;
    }
    return null;
  }
}

const isInteger = (text: string): boolean => /^[+-]?\d{1,15}$/.test(text.trim());

function readAmount(keys: Keys, name: string): number {
  const text = keys.get('amount');
  if (text === null) return 1;
  const amount = isInteger(text) ? Number(text) : 0;
  if (amount < 1)
    throw new DeckhandError('InvalidDecky', `[${name}] amount= must be a positive integer, got ${quote(text)}`);
  if (amount > LIMITS.amountPerSection)
    throw new DeckhandError(
      'InvalidDecky',
      `[${name}] amount=${amount} exceeds maximum allowed (${LIMITS.amountPerSection}).`,
    );
  return amount;
}

function readInterval(keys: Keys, name: string): number | null {
  const text = keys.text('mutate_interval', 'mutate-interval');
  if (text === null) return null;
  if (!isInteger(text))
    throw new DeckhandError('InvalidDecky', `[${name}] mutate_interval= must be an integer, got ${quote(text)}`);
  const minutes = Number(text);
  if (minutes < 1 || minutes > LONGEST_INTERVAL_MINUTES)
    throw new DeckhandError(
      'InvalidDecky',
      `[${name}] mutate_interval=${minutes} should be greater than or equal to 1 minute and at most ${LONGEST_INTERVAL_MINUTES}.`,
    );
  return minutes;
}

const list = (text: string): readonly string[] => text.split(',').map((item) => item.trim());

function readServices(keys: Keys, name: string): readonly string[] | null {
  const text = keys.text('services');
  if (text === null) return null;
  const services = list(text);
  if (services.length > MOST_SERVICES)
    throw new DeckhandError(
      'InvalidDecky',
      `[${name}] services= (line ${keys.line('services')}) names ${services.length} services; a decky has at most ${MOST_SERVICES}.`,
    );
  return services;
}

function readDecky(keys: Keys, name: string): DeckySection {
  assertDeckyName(name);
  const section: DeckySection = {
    name,
    ip: keys.text('ip'),
    services: readServices(keys, name),
    archetype: keys.text('archetype'),
    amount: readAmount(keys, name),
    nmap_os: keys.text('nmap_os', 'nmap-os'),
    mutate_interval: readInterval(keys, name),
  };
  if (section.ip !== null && section.amount > 1)
    throw new DeckhandError(
      'InvalidDecky',
      `[${name}] Cannot combine ip= with amount=${section.amount}. Remove ip= or use amount=1.`,
    );
  return section;
}

function readPorts(keys: Keys, section: string, warnings: Warnings): readonly number[] {
  const ports = list(keys.get('ports') ?? '').flatMap((item) => {
    const port = /^\d{1,5}$/.test(item) ? Number(item) : 0;
    if (port >= 1 && port <= 65_535) return [port];
    if (item !== '')
      warnings.add(
        null,
        () => `[${section}] ports= (line ${keys.line('ports')}): ${quote(item)} is no port and was left out.`,
      );
    return [];
  });
  if (ports.length > MOST_PORTS)
    throw new DeckhandError(
      'InvalidDecky',
      `[${section}] ports= (line ${keys.line('ports')}) names ${ports.length} ports; a service has at most ${MOST_PORTS}.`,
    );
  return ports;
}

/** Null for a section that is passed over. */
function readCustomService(keys: Keys, { name: section, line }: IniSection, warnings: Warnings): CustomService | null {
  const name = section.slice(CUSTOM_PREFIX.length);
  if (!/^[A-Za-z0-9\-_.]{1,64}$/.test(name))
    throw new DeckhandError(
      'InvalidDecky',
      `[${shorten(section)}]: a custom service is named by 1 to 64 of A-Z, a-z, 0-9, "-", "_" and "." after "${CUSTOM_PREFIX}".`,
    );
  if (serviceByName(name)) {
    warnings.add(
      null,
      () => `[${section}] (line ${line}) was ignored: '${name}' is a built-in service. Give yours another name.`,
    );
    return null;
  }
  const image = keys.text('binary');
  if (image === null) throw new DeckhandError('InvalidDecky', `[${section}] has no binary=. Name the image to run.`);
  parseImageReference(image, `[${section}] binary= (line ${keys.line('binary')})`);
  return { name, image, exec_cmd: keys.get('exec') ?? '', ports: readPorts(keys, section, warnings) };
}

/** In this order (docs/configuration.md#sections): `[General]` is a decky, `[x.ssh]` never one, `[decky.webmail]` is. */
function kindOf(name: string): SectionKind {
  if (name === 'general') return 'general';
  if (name.includes('.') && serviceByName(name.slice(name.lastIndexOf('.') + 1))) return 'service';
  return name.startsWith(CUSTOM_PREFIX) ? 'custom' : 'decky';
}

/** Sub-section values are the section's own: [DEFAULT] does not leak into a service's configuration. */
function readServiceSection(ini: IniText, section: IniSection): ServiceSection {
  const dot = section.name.lastIndexOf('.');
  if (section.options.size > MOST_SETTINGS)
    throw new DeckhandError(
      'InvalidIni',
      `[${shorten(section.name)}] (line ${section.line}) has ${section.options.size} keys; a service takes at most ${MOST_SETTINGS}.`,
    );
  const values = [...section.options.keys()].map((key) => [key, readValue(ini, section, key) ?? ''] as const);
  return {
    owner: section.name.slice(0, dot),
    service: section.name.slice(dot + 1),
    values: Object.fromEntries(values),
    line: section.line,
  };
}

/** Before any of them is read: what a text asks for is bounded, whatever its size. */
function checkCounts(sections: readonly NamedSection[]): void {
  const counts = { general: 0, service: 0, custom: 0, decky: 0 };
  for (const { kind } of sections) counts[kind] += 1;
  if (counts.decky === 0)
    throw new DeckhandError('InvalidIni', 'Invalid INI config structure: No decky sections found.');
  if (counts.decky > LIMITS.deploymentLimitMax)
    throw new DeckhandError(
      'DeploymentLimit',
      `Deployment would result in ${counts.decky} deckies, exceeding the configured limit of ${LIMITS.deploymentLimitMax}`,
    );
  if (counts.custom > MOST_CUSTOM_SERVICES)
    throw new DeckhandError(
      'InvalidIni',
      `The INI has ${counts.custom} custom services; it can have at most ${MOST_CUSTOM_SERVICES}.`,
    );
  if (counts.service > MOST_SERVICE_SECTIONS)
    throw new DeckhandError(
      'InvalidIni',
      `The INI has ${counts.service} sections of services; it can have at most ${MOST_SERVICE_SECTIONS}.`,
    );
}

/**
 * Reads a deploy INI. Throws IniTooLarge, InvalidIni, InvalidDecky and DeploymentLimit; whether names, addresses and
 * services fit together is for expand.ts and deckies.ts to say.
 */
export function parseIni(text: string): IniConfig {
  const ini = readIniText(text);
  const sections = ini.sections.map((section) => ({ section, kind: kindOf(section.name) }));
  checkCounts(sections);
  const warnings = new Warnings();
  const deckies: DeckySection[] = [];
  const serviceSections: ServiceSection[] = [];
  const customServices: CustomService[] = [];
  let general: GeneralSection = { subnet: null, gateway: null, interface: null, mutate_interval: null };
  for (const { section, kind } of sections) {
    const keys = new Keys(ini, section);
    if (kind === 'service') serviceSections.push(readServiceSection(ini, section));
    else if (kind === 'custom') {
      const custom = readCustomService(keys, section, warnings);
      if (custom) customServices.push(custom);
    } else if (kind === 'decky') deckies.push(readDecky(keys, section.name));
    else
      general = {
        subnet: keys.text('net'),
        gateway: keys.text('gw'),
        interface: keys.text('interface'),
        mutate_interval: readInterval(keys, section.name),
      };
  }
  findTypos(text, ini, sections, new Map(customServices.map((service) => [service.name, service])), warnings);
  return { general, deckies, service_sections: serviceSections, custom_services: customServices, warnings };
}
