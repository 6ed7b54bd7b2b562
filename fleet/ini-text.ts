/**
 * The text level of the INI: Python's ConfigParser dialect (docs/configuration.md#the-text). Own code, since no library reads it: colons and
 * equals signs, keys in lower case, continuation by indentation, merged sections, [DEFAULT], and %-interpolation, all of
 * which decide what a deployed decky is.
 */
import { DeckhandError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { shorten } from './text.ts';

export interface IniOption {
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface IniSection {
  readonly name: string;
  readonly line: number;
  readonly options: ReadonlyMap<string, IniOption>;
}

export interface IniText {
  readonly defaults: ReadonlyMap<string, IniOption>;
  /** In order of first appearance; a section that appears again was merged into the first. */
  readonly sections: readonly IniSection[];
  /** Characters that references and [DEFAULT] may still bring in: a few lines can name each other into gigabytes. */
  readonly budget: { left: number };
  /** Keys that a `%(key)s` of a value that was read refers to, in lower case. */
  readonly referenced: Set<string>;
  /** Keys that stand twice in a section, where the last value counts; the line is that of the earlier one. */
  readonly repeated: readonly { readonly section: string; readonly key: string; readonly line: number }[];
}

const SYNTAX = 'Configuration conflict: INI syntax or characters are invalid';
/** Python's MAX_INTERPOLATION_DEPTH. */
const INTERPOLATION_DEPTH = 10;
/** More than the largest fleet has, with settings for each decky. */
const MOST_SECTIONS = 32_000;
/** What looking a reference up costs of the budget, beside the characters that it brings. */
const REFERENCE_COST = 16;

const syntaxError = (detail: string): DeckhandError => new DeckhandError('InvalidIni', `${SYNTAX}: ${detail}`);

/** Characters are code points. Ends as soon as there are too many. */
function hasMoreThan(text: string, limit: number): boolean {
  if (text.length <= limit) return false;
  let surplus = text.length - limit;
  for (let at = 0; at < text.length && surplus > 0; at += 1) {
    const code = text.codePointAt(at) ?? 0;
    if (code <= 0xffff) continue;
    surplus -= 1;
    at += 1;
  }
  return surplus > 0;
}

/** What neither PostgreSQL nor an environment variable can hold. */
const UNSTORABLE = /[\0\uD800-\uDFFF]/u;

const lineOf = (text: string, at: number): number => text.slice(0, at).split(/\r\n?|\n/).length;

function checkCharacters(text: string): void {
  if (hasMoreThan(text, LIMITS.iniCharacters)) throw new DeckhandError('IniTooLarge', 'Invalid INI config');
  if (text.startsWith('\uFEFF'))
    throw syntaxError('the text begins with a byte order mark. Save it as UTF-8 without one.');
  if (text.trim() === '') throw new DeckhandError('InvalidIni', 'Configuration conflict: INI content is empty.');
  const bad = text.search(UNSTORABLE);
  if (bad >= 0)
    throw syntaxError(
      `line ${lineOf(text, bad)} holds a character that is not allowed (NUL or half a surrogate pair). Remove it.`,
    );
}

/** The line of the first U+FFFD, which stands where a client could not decode a character; null without one. */
export function replacedCharacterLine(text: string): number | null {
  const at = text.indexOf('\uFFFD');
  return at < 0 ? null : lineOf(text, at);
}

/** Further lines are put to the value once it is asked for. */
class OpenOption implements IniOption {
  readonly line: number;
  private readonly lines: string[];
  private joined: string | undefined;
  constructor(first: string, line: number) {
    this.lines = [first];
    this.line = line;
  }
  add(further: string): void {
    this.lines.push(further);
  }
  get value(): string {
    this.joined ??= this.lines.join('\n').trimEnd();
    return this.joined;
  }
}

interface OpenSection extends IniSection {
  readonly options: Map<string, OpenOption>;
}

/** Reads line by line; what a line means depends on the option that is open and on its indentation. */
class LineReader {
  readonly defaults: OpenSection = { name: 'DEFAULT', line: 0, options: new Map() };
  readonly sections = new Map<string, OpenSection>();
  readonly repeated: { section: string; key: string; line: number }[] = [];
  private section: OpenSection | null = null;
  private option: OpenOption | null = null;
  private indentation = 0;

  read(raw: string, line: number): void {
    const content = raw.trim();
    if (content.startsWith('#') || content.startsWith(';')) return;
    if (content === '') {
      this.option?.add('');
      return;
    }
    const indentation = raw.length - raw.trimStart().length;
    if (this.option && indentation > this.indentation) {
      this.option.add(content);
      return;
    }
    this.indentation = indentation;
    const end = content.startsWith('[') ? content.lastIndexOf(']') : -1;
    if (end > 1) this.openSection(content.slice(1, end), line);
    else this.openOption(content, line);
  }

  private openSection(name: string, line: number): void {
    this.option = null;
    if (name === this.defaults.name) {
      this.section = this.defaults;
      return;
    }
    this.section = this.sections.get(name) ?? null;
    if (this.section) return;
    if (this.sections.size >= MOST_SECTIONS)
      throw syntaxError(`line ${line} begins one section too many. An INI has at most ${MOST_SECTIONS}.`);
    this.section = { name, line, options: new Map() };
    this.sections.set(name, this.section);
  }

  private openOption(content: string, line: number): void {
    if (!this.section) throw new DeckhandError('InvalidIni', `${SYNTAX}.`);
    const delimiter = content.search(/[=:]/);
    // The line itself is not repeated: it may be the rest of a password.
    if (delimiter < 1)
      throw syntaxError(
        `line ${line}, in section [${shorten(this.section.name)}], is neither "key = value" nor a [section] header. Mend or remove it.`,
      );
    this.option = new OpenOption(content.slice(delimiter + 1).trim(), line);
    const key = content.slice(0, delimiter).trimEnd().toLowerCase();
    const before = this.section.options.get(key);
    if (before) this.repeated.push({ section: this.section.name, key, line: before.line });
    this.section.options.set(key, this.option);
  }
}

/** Both kinds of line end are looked for once for each that is there: a text of 500,000 CRs has no LF to be found. */
function readLines(text: string, read: (raw: string, line: number) => void): void {
  const nextOf = (mark: string, from: number): number => {
    const at = text.indexOf(mark, from);
    return at < 0 ? text.length : at;
  };
  let cr = nextOf('\r', 0);
  let lf = nextOf('\n', 0);
  for (let at = 0, line = 1; at <= text.length; line += 1) {
    if (cr < at) cr = nextOf('\r', at);
    if (lf < at) lf = nextOf('\n', at);
    const end = Math.min(cr, lf);
    read(text.slice(at, end), line);
    at = cr + 1 === lf ? lf + 1 : end + 1;
  }
}

/** Reads the sections of a text, values not yet interpolated. Throws InvalidIni and IniTooLarge. */
export function readIniText(text: string): IniText {
  checkCharacters(text);
  const reader = new LineReader();
  readLines(text, (raw, line) => reader.read(raw, line));
  return {
    defaults: reader.defaults.options,
    sections: [...reader.sections.values()],
    budget: { left: 4 * LIMITS.iniCharacters },
    referenced: new Set(),
    repeated: reader.repeated,
  };
}

/**
 * The value of a key with `%%` and `%(other)s` replaced; undefined when neither the section nor [DEFAULT] has the key. Ask
 * only for `section.options` where [DEFAULT] must not leak.
 */
export function readValue(ini: IniText, section: IniSection, key: string): string | undefined {
  const own = section.options.get(key);
  const option = own ?? ini.defaults.get(key);
  if (option === undefined) return undefined;
  const fail = (what: string): DeckhandError =>
    new DeckhandError('InvalidIni', `[${shorten(section.name)}] ${shorten(key)}= (line ${option.line}): ${what}`);
  const spend = (characters: number): void => {
    ini.budget.left -= characters;
    if (ini.budget.left < 0) throw fail('the references of this INI grow out of bounds. Write the values out.');
  };
  const lookUp = (name: string): string => {
    const found = (section.options.get(name) ?? ini.defaults.get(name))?.value;
    if (found === undefined) throw fail(`%(${shorten(name)})s refers to a key that the section does not have.`);
    ini.referenced.add(name);
    spend(found.length + REFERENCE_COST);
    return found;
  };
  // A value of [DEFAULT] is read again for every section.
  if (own === undefined) spend(option.value.length);
  return interpolate(option.value, lookUp, fail, 1);
}

/** Each character is looked at once: a pattern that may begin at every `%(` and look for its end would be quadratic. */
function interpolate(
  value: string,
  lookUp: (name: string) => string,
  fail: (what: string) => DeckhandError,
  depth: number,
): string {
  if (depth > INTERPOLATION_DEPTH) throw fail(`references go deeper than ${INTERPOLATION_DEPTH} levels.`);
  const parts: string[] = [];
  let at = 0;
  for (;;) {
    const percent = value.indexOf('%', at);
    if (percent < 0) break;
    parts.push(value.slice(at, percent));
    if (value[percent + 1] === '%') {
      parts.push('%');
      at = percent + 2;
      continue;
    }
    const end = value[percent + 1] === '(' ? value.indexOf(')', percent) : -1;
    if (end < percent + 3 || value[end + 1] !== 's')
      throw fail('a lone "%" is not allowed. Write "%%" for a percent sign.');
    parts.push(interpolate(lookUp(value.slice(percent + 2, end).toLowerCase()), lookUp, fail, depth + 1));
    at = end + 2;
  }
  if (parts.length === 0) return value;
  parts.push(value.slice(at));
  return parts.join('');
}
