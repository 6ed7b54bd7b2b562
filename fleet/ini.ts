/** What the sections of a deploy INI mean (config.md 2.1 and 2.2); ini-text.ts reads the text itself. */
import { serviceByName } from './catalog.ts';
import type { CustomService } from './config.ts';
import { DeckhandError } from './errors.ts';
import { parseImageReference } from './image-reference.ts';
import { type IniSection, type IniText, readIniText, readValue } from './ini-text.ts';
import { LIMITS } from './limits.ts';
import { assertDeckyName } from './names.ts';
import { quote } from './quote.ts';

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
}

export interface IniConfig {
  readonly general: GeneralSection;
  readonly deckies: readonly DeckySection[];
  readonly service_sections: readonly ServiceSection[];
  readonly custom_services: readonly CustomService[];
  readonly warnings: readonly string[];
}

const CUSTOM_PREFIX = 'custom-';
/** A hundred years; keeps the column a 32-bit integer. */
const LONGEST_INTERVAL_MINUTES = 52_560_000;

/** A section with its keys read, [DEFAULT] included. */
class Keys {
  private readonly ini: IniText;
  private readonly section: IniSection;
  constructor(ini: IniText, section: IniSection) {
    this.ini = ini;
    this.section = section;
  }
  get(...names: readonly string[]): string | null {
    for (const name of names) {
      const value = readValue(this.ini, this.section, name);
      if (value !== undefined) return value;
    }
    return null;
  }
  /** Where the key stands, in the section or in [DEFAULT]. */
  line(name: string): number {
    return (this.section.options.get(name) ?? this.ini.defaults.get(name))?.line ?? this.section.line;
  }
  /** An empty value counts as none. */
  text(...names: readonly string[]): string | null {
    return this.get(...names) || null;
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
  const text = keys.get('mutate_interval', 'mutate-interval');
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

function readDecky(keys: Keys, name: string): DeckySection {
  assertDeckyName(name);
  const services = keys.text('services');
  const section: DeckySection = {
    name,
    ip: keys.text('ip'),
    services: services === null ? null : list(services),
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

function readPorts(text: string | null, section: string, warnings: string[]): readonly number[] {
  return list(text ?? '').flatMap((item) => {
    const port = /^\d{1,5}$/.test(item) ? Number(item) : 0;
    if (port >= 1 && port <= 65_535) return [port];
    if (item !== '') warnings.push(`[${section}] ports=: ${quote(item)} is no port and was left out.`);
    return [];
  });
}

function readCustomService(keys: Keys, section: string, warnings: string[]): CustomService {
  const name = section.slice(CUSTOM_PREFIX.length);
  if (!/^[A-Za-z0-9\-_.]{1,64}$/.test(name))
    throw new DeckhandError(
      'InvalidDecky',
      `[${section}]: a custom service is named by 1 to 64 of A-Z, a-z, 0-9, "-", "_" and "." after "${CUSTOM_PREFIX}".`,
    );
  if (serviceByName(name))
    throw new DeckhandError('InvalidDecky', `[${section}]: '${name}' is a built-in service. Choose another name.`);
  const image = keys.text('binary');
  if (image === null) throw new DeckhandError('InvalidDecky', `[${section}] has no binary=. Name the image to run.`);
  parseImageReference(image, `[${section}] binary= (line ${keys.line('binary')})`);
  return { name, image, exec_cmd: keys.get('exec') ?? '', ports: readPorts(keys.get('ports'), section, warnings) };
}

type SectionKind = 'general' | 'service' | 'custom' | 'decky';

/** In this order (config.md 2.1): `[General]` is a decky, `[x.ssh]` never one, `[decky.webmail]` is. */
function kindOf(name: string): SectionKind {
  if (name === 'general') return 'general';
  if (name.includes('.') && serviceByName(name.slice(name.lastIndexOf('.') + 1))) return 'service';
  return name.startsWith(CUSTOM_PREFIX) ? 'custom' : 'decky';
}

/** Sub-section values are the section's own: [DEFAULT] does not leak into a service's configuration (ours.md). */
function readServiceSection(ini: IniText, section: IniSection): ServiceSection {
  const dot = section.name.lastIndexOf('.');
  const values = [...section.options.keys()].map((key) => [key, readValue(ini, section, key) ?? ''] as const);
  return {
    owner: section.name.slice(0, dot),
    service: section.name.slice(dot + 1),
    values: Object.fromEntries(values),
  };
}

/** `[box.honey]` beside `[custom-honey]` looks like a sub-section, yet would make a decky of that name. */
function refuseCustomSubsections(deckies: readonly DeckySection[], custom: readonly CustomService[]): void {
  const names = new Set(custom.map((service) => service.name));
  for (const { name } of deckies) {
    const dot = name.lastIndexOf('.');
    if (dot >= 0 && names.has(name.slice(dot + 1)))
      throw new DeckhandError(
        'InvalidIni',
        `[${name}]: the custom service '${name.slice(dot + 1)}' takes no settings of a decky. Put them into its exec=, or remove the section.`,
      );
  }
}

/**
 * Reads a deploy INI. Throws IniTooLarge, InvalidIni and InvalidDecky; whether names, addresses and services fit together
 * is for expand.ts and deckies.ts to say.
 */
export function parseIni(text: string): IniConfig {
  const ini = readIniText(text);
  const warnings: string[] = [];
  const deckies: DeckySection[] = [];
  const serviceSections: ServiceSection[] = [];
  const customServices: CustomService[] = [];
  let general: GeneralSection = { subnet: null, gateway: null, interface: null, mutate_interval: null };
  for (const section of ini.sections) {
    const keys = new Keys(ini, section);
    const kind = kindOf(section.name);
    if (kind === 'service') serviceSections.push(readServiceSection(ini, section));
    else if (kind === 'custom') customServices.push(readCustomService(keys, section.name, warnings));
    else if (kind === 'decky') deckies.push(readDecky(keys, section.name));
    else
      general = {
        subnet: keys.text('net'),
        gateway: keys.text('gw'),
        interface: keys.text('interface'),
        mutate_interval: readInterval(keys, section.name),
      };
  }
  if (deckies.length === 0)
    throw new DeckhandError('InvalidIni', 'Invalid INI config structure: No decky sections found.');
  refuseCustomSubsections(deckies, customServices);
  return { general, deckies, service_sections: serviceSections, custom_services: customServices, warnings };
}
