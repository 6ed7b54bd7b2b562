/**
 * Typing mistakes in an INI. What the reader does not know it passes over, as the original does; each of these earns a
 * warning with its line and the nearest known word. Keys and sections are named, never a value: it may be a password.
 */
import { SERVICES, serviceByName } from './catalog.ts';
import type { CustomService } from './config.ts';
import { type IniSection, type IniText, replacedCharacterLine } from './ini-text.ts';
import { shorten } from './text.ts';
import type { Warnings } from './warnings.ts';

/** How the section of a custom service begins. */
export const CUSTOM_PREFIX = 'custom-';

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

/** `decky`: whose section for a service the key may belong into. */
function unknownKey({ name }: IniSection, kind: keyof typeof KEYS, key: string, line: number, decky: string): string {
  const advice = adviceFor(key, KEYS[kind], shorten(decky));
  return `[${shorten(name)}] ${shorten(key)}= (line ${line}) is not known here and was ignored. ${advice}`;
}

/** The decky that a section with a dot was perhaps to be about: `web` of `web.shell` and of `web.ssh.shell`. */
function deckyOf(name: string): string {
  const owner = ownerOf(name);
  return owner.includes('.') && SETTINGS.has(serviceOf(owner)) ? ownerOf(owner) : owner;
}

/** A key that another value refers to is a variable, and meant. */
function findUnknownKeys(
  ini: IniText,
  section: IniSection,
  kind: SectionKind,
  isMistaken: boolean,
  warnings: Warnings,
): void {
  const words = kind === 'service' ? SETTINGS.get(serviceOf(section.name)) : known.get(kind);
  for (const [key, { line }] of section.options) {
    if (words?.has(key) || ini.referenced.has(key)) continue;
    if (kind === 'service') warnings.add(ownerOf(section.name), () => unknownSetting(section, key, line));
    else {
      const decky = isMistaken ? deckyOf(section.name) : section.name;
      warnings.add(kind === 'decky' ? section.name : null, () => unknownKey(section, kind, key, line, decky));
    }
  }
}

/** Deckies of a group are named after it: `web-01` after `web`. */
const OF_GROUP = /^(.+)-\d{2,}$/;

/**
 * Finds a section that makes a decky, and was perhaps to be another one. `names`: of all sections. True where the section
 * was probably to be one for a service of a decky.
 */
function findMistakenSection(
  { name, line, options }: IniSection,
  names: ReadonlySet<string>,
  custom: ReadonlyMap<string, unknown>,
  warnings: Warnings,
): boolean {
  const made = (why: string): true => {
    warnings.add(name, () => `[${name}] (line ${line}) makes a decky of the name '${name}'${why}`);
    return true;
  };
  if (!name.includes('.')) {
    const near = nearWord(name, ['general', 'DEFAULT']);
    const [, prefix = '', rest = ''] = /^([^-_]+)[-_](.+)$/.exec(name) ?? [];
    if (near !== null) made(`. Did you mean [${near}]?`);
    else if (options.has('binary') && nearWord(prefix, ['custom']) !== null) made(`. Did you mean [custom-${rest}]?`);
    return false;
  }
  const [owner, last] = [ownerOf(name), serviceOf(name)];
  if (custom.has(last))
    return made(`: the custom service '${last}' takes no settings. Put them into its exec=, or remove the section.`);
  const near = nearWord(last, SETTINGS.keys());
  if (near !== null) return made(`: there is no service '${last}'. Did you mean [${deckyOf(name)}.${near}]?`);
  const decky = deckyOf(name);
  const isOfDecky = [owner, decky, OF_GROUP.exec(decky)?.[1] ?? ''].some((one) => names.has(one));
  if (!isOfDecky) return false;
  return made(`: there is no service '${last}'. A section [${decky}.…] ends with the name of a service.`);
}

const QUOTES = /["'\u2018-\u201f\u00ab\u00bb`]/;
/** White space that a backslash was to keep. */
const ESCAPED_SPACE = /\\\s/;
/** Words that only a shell understands. */
const SHELL_WORD = /(?:^|\s)(?:&&|\|\|?|&|;|\d?>>?|\d?<<?|\d?>&\d)(?=\s|$)|;(?=\s|$)/;

/** The text is split at white space only, into arguments that keep their quotes, and no shell reads it. */
function findTornCommand(ini: IniText, section: IniSection, command: string, warnings: Warnings): void {
  const { line } = section.options.get('exec') ?? ini.defaults.get('exec') ?? section;
  const warn = (what: string): void =>
    warnings.add(
      null,
      () => `[${shorten(section.name)}] exec= (line ${line}) has ${what} Put the command into a script of the image.`,
    );
  if (QUOTES.test(command))
    warn(
      'quotes, and they do not hold arguments together: the command is split at white space, and each quote stays in its argument.',
    );
  else if (ESCAPED_SPACE.test(command))
    warn(
      'a backslash before white space, and it does not hold an argument together: the command is split at white space, and the backslash stays in its argument.',
    );
  else if (SHELL_WORD.test(command))
    warn('operators of a shell, and no shell reads it: each is passed to the program as an argument.');
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
  custom: ReadonlyMap<string, CustomService>,
  warnings: Warnings,
): void {
  const replaced = replacedCharacterLine(text);
  if (replaced !== null)
    warnings.add(
      null,
      () =>
        `Line ${replaced} holds U+FFFD, which stands for a character that could not be read. Save the INI as UTF-8 unless it is meant.`,
    );
  const names = new Set(sections.map(({ section }) => section.name));
  for (const { section, kind } of sections) {
    const isMistaken = kind === 'decky' && findMistakenSection(section, names, custom, warnings);
    findUnknownKeys(ini, section, kind, isMistaken, warnings);
    const service = kind === 'custom' && custom.get(section.name.slice(CUSTOM_PREFIX.length));
    if (service) findTornCommand(ini, section, service.exec_cmd, warnings);
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

/** The known word that somebody probably meant. Pure. */

/** Longer words are no typing mistakes of the short ones that are known. */
const LONGEST = 40;

/** A mistake of so many letters is still a mistake in a word of that length. */
const mistakesIn = (length: number): number => (length < 3 ? 0 : length < 6 ? 1 : length < 10 ? 2 : 3);

/** Equal letters at the beginning and at the end are no mistakes, and need no table. */
function withoutEqualEnds(a: string, b: string): readonly [string, string] {
  const shorter = Math.min(a.length, b.length);
  let head = 0;
  while (head < shorter && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  return [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
}

/**
 * Letters to add, leave out, replace or swap with their neighbour; `most` + 1 where it takes more. Only what lies within
 * `most` of the diagonal is counted, since the rest can't be less. Both words are short.
 */
function distance(one: string, other: string, most: number): number {
  const far = most + 1;
  const [a, b] = withoutEqualEnds(one, other);
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => Math.min(column, far));
  for (let row = 1; row <= a.length; row += 1) {
    const here = new Array<number>(b.length + 1).fill(far);
    if (row <= most) here[0] = row;
    let nearest = here[0] ?? far;
    for (let column = Math.max(1, row - most); column <= Math.min(b.length, row + most); column += 1) {
      const replaced = (above[column - 1] ?? far) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let least = Math.min(replaced, (above[column] ?? far) + 1, (here[column - 1] ?? far) + 1, far);
      if (a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        least = Math.min(least, (before[column - 2] ?? far) + 1);
      here[column] = least;
      nearest = Math.min(nearest, least);
    }
    if (nearest >= far) return far;
    before = above;
    above = here;
  }
  return above[b.length] ?? far;
}

/** Null where none is near. Case and the difference of `-` and `_` are no mistakes. */
export function nearWord(word: string, known: Iterable<string>): string | null {
  if (word.length > LONGEST) return null;
  const meant = word.toLowerCase().replaceAll('-', '_');
  let best: string | null = null;
  let least = mistakesIn(meant.length);
  for (const candidate of known) {
    if (Math.abs(candidate.length - meant.length) > least) continue;
    const far = distance(meant, candidate.toLowerCase().replaceAll('-', '_'), least);
    if (far < least || (far === least && best === null)) [best, least] = [candidate, far];
  }
  return best;
}
