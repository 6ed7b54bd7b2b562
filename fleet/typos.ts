/**
 * Typing mistakes in an INI. What the reader does not know it passes over, as the original does; each of these earns a
 * warning with its line and the nearest known word. Keys and sections are named, never a value: it may be a password.
 */
import { SERVICES, serviceByName } from './catalog.ts';
import { type IniSection, type IniText, replacedCharacterLine } from './ini-text.ts';
import { nearWord } from './near-word.ts';
import { shorten } from './quote.ts';
import type { Warnings } from './warnings.ts';

export type SectionKind = 'general' | 'service' | 'custom' | 'decky';

/** Without the spellings with a dash, which are known too. */
const KEYS = {
  general: ['net', 'gw', 'interface', 'mutate_interval'],
  decky: ['ip', 'services', 'archetype', 'amount', 'nmap_os', 'mutate_interval'],
  custom: ['binary', 'exec', 'ports'],
} as const;
const PLACES = { general: '[general]', decky: 'the section of a decky', custom: 'a [custom-…] section' } as const;
const DASHED = ['nmap-os', 'mutate-interval'];
/** What [DEFAULT] can hold for others. */
const INHERITED: readonly string[] = [...new Set(Object.values(KEYS).flat())];

const known = new Map<string, ReadonlySet<string>>(
  Object.entries(KEYS).map(([kind, keys]) => [
    kind,
    new Set<string>([...keys, ...DASHED.filter((key) => (keys as readonly string[]).includes(key.replace('-', '_')))]),
  ]),
);
const inherited = new Set([...INHERITED, ...DASHED]);

const settingsOf = (service: string): readonly string[] =>
  serviceByName(service)?.service_cfg_keys.map(({ key }) => key) ?? [];
const SETTINGS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  SERVICES.map(({ name }) => [name, new Set(settingsOf(name))]),
);

const serviceOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
const ownerOf = (name: string): string => name.slice(0, name.lastIndexOf('.'));

/** Where a key that does not belong here is known. */
function placeOf(key: string, owner: string): string | null {
  for (const kind of ['general', 'decky', 'custom'] as const)
    if (known.get(kind)?.has(key)) return `It belongs into ${PLACES[kind]}.`;
  const services = [...SETTINGS].filter(([, keys]) => keys.has(key)).map(([service]) => `[${owner}.${service}]`);
  return services.length === 0 ? null : `It belongs into ${services.slice(0, 3).join(' or ')}.`;
}

function adviceFor(key: string, words: readonly string[], owner: string): string {
  const near = nearWord(key, words);
  if (near !== null) return `Did you mean ${near}=?`;
  return placeOf(key, owner) ?? (words.length === 0 ? 'It has none.' : `Known here: ${words.join(', ')}.`);
}

function unknownSetting(section: IniSection, key: string, line: number): string {
  const service = serviceOf(section.name);
  const advice = adviceFor(key, settingsOf(service), shorten(ownerOf(section.name)));
  return `[${shorten(section.name)}] ${shorten(key)}= (line ${line}) is no setting of ${service} and has no effect. ${advice}`;
}

function unknownKey(section: IniSection, kind: keyof typeof KEYS, key: string, line: number): string {
  const owner = shorten(section.name);
  return `[${owner}] ${shorten(key)}= (line ${line}) is not known here and was ignored. ${adviceFor(key, KEYS[kind], owner)}`;
}

/** A key that another value refers to is a variable, and meant. */
function findUnknownKeys(ini: IniText, section: IniSection, kind: SectionKind, warnings: Warnings): void {
  const words = kind === 'service' ? SETTINGS.get(serviceOf(section.name)) : known.get(kind);
  for (const [key, { line }] of section.options) {
    if (words?.has(key) || ini.referenced.has(key)) continue;
    if (kind === 'service') warnings.add(ownerOf(section.name), () => unknownSetting(section, key, line));
    else warnings.add(kind === 'decky' ? section.name : null, () => unknownKey(section, kind, key, line));
  }
}

/** A section that makes a decky, and was perhaps to be another one. */
function findMistakenSection({ name, line }: IniSection, custom: ReadonlySet<string>, warnings: Warnings): void {
  const made = (why: string): void =>
    warnings.add(name, () => `[${name}] (line ${line}) makes a decky of the name '${name}'${why}`);
  if (!name.includes('.')) {
    const near = nearWord(name, ['general', 'DEFAULT']);
    if (near !== null) made(`. Did you mean [${near}]?`);
    return;
  }
  const last = serviceOf(name);
  if (custom.has(last)) {
    made(`: the custom service '${last}' takes no settings. Put them into its exec=, or remove the section.`);
    return;
  }
  const near = nearWord(last, SETTINGS.keys());
  if (near !== null) made(`: there is no service '${last}'. Did you mean [${ownerOf(name)}.${near}]?`);
}

/** The text is split at white space only, and into arguments that keep their quotes. */
function findTornCommand(section: IniSection, warnings: Warnings): void {
  const option = section.options.get('exec');
  if (option && /["']/.test(option.value))
    warnings.add(
      null,
      () =>
        `[${shorten(section.name)}] exec= (line ${option.line}) has quotes, and they do not hold arguments together: the command is split at white space, and each quote stays in its argument. Put the command into a script of the image.`,
    );
}

export interface NamedSection {
  readonly section: IniSection;
  readonly kind: SectionKind;
}

/** After all values were read: only then it is known which keys are referred to. */
export function findTypos(
  text: string,
  ini: IniText,
  sections: readonly NamedSection[],
  custom: ReadonlySet<string>,
  warnings: Warnings,
): void {
  const replaced = replacedCharacterLine(text);
  if (replaced !== null)
    warnings.add(
      null,
      () =>
        `Line ${replaced} holds U+FFFD, which stands for a character that could not be read. Save the INI as UTF-8 unless it is meant.`,
    );
  for (const { section, kind } of sections) {
    if (kind === 'decky') findMistakenSection(section, custom, warnings);
    findUnknownKeys(ini, section, kind, warnings);
    if (kind === 'custom') findTornCommand(section, warnings);
  }
  for (const [key, { line }] of ini.defaults)
    if (!inherited.has(key) && !ini.referenced.has(key))
      warnings.add(
        null,
        () =>
          `[DEFAULT] ${shorten(key)}= (line ${line}) is not known in any section and was ignored. ${adviceFor(key, INHERITED, '…')}`,
      );
  for (const { section, key, line } of ini.repeated)
    warnings.add(
      null,
      () =>
        `[${shorten(section)}] ${shorten(key)}= (line ${line}) is written over by a later line of the same section.`,
    );
}
