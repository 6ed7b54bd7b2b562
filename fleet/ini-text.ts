/**
 * The text level of the INI: Python's ConfigParser dialect (config.md 2). Own code, since no library reads it: colons and
 * equals signs, keys in lower case, continuation by indentation, merged sections, [DEFAULT], and %-interpolation, all of
 * which decide what a deployed decky is.
 */
import { DeckhandError } from './errors.ts';
import { LIMITS } from './limits.ts';

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
  /** Characters that references of this text may still bring in: a few lines can name each other into gigabytes. */
  readonly budget: { left: number };
}

const SYNTAX = 'Configuration conflict: INI syntax or characters are invalid';
/** Python's MAX_INTERPOLATION_DEPTH. */
const INTERPOLATION_DEPTH = 10;

const syntaxError = (detail: string): DeckhandError => new DeckhandError('InvalidIni', `${SYNTAX}: ${detail}`);

function checkCharacters(text: string): void {
  const limit = LIMITS.iniCharacters;
  // Characters are code points, of which a string of more than twice the limit surely has too many.
  if (text.length > 2 * limit || (text.length > limit && [...text].length > limit))
    throw new DeckhandError('IniTooLarge', 'Invalid INI config');
  if (text.startsWith('\uFEFF'))
    throw syntaxError('the text begins with a byte order mark. Save it as UTF-8 without one.');
  if (text.trim() === '') throw new DeckhandError('InvalidIni', 'Configuration conflict: INI content is empty.');
  // Neither PostgreSQL nor an environment variable can hold these.
  const bad = /\0|\p{Surrogate}/u.exec(text);
  if (bad) {
    const line = text.slice(0, bad.index).split(/\r\n?|\n/).length;
    throw syntaxError(`line ${line} holds a character that is not allowed (NUL or half a surrogate pair). Remove it.`);
  }
}

interface OpenOption {
  readonly lines: string[];
  readonly line: number;
}
interface OpenSection {
  readonly name: string;
  readonly line: number;
  readonly options: Map<string, OpenOption>;
}

/** Reads line by line; what a line means depends on the option that is open and on its indentation. */
class LineReader {
  readonly defaults: OpenSection = { name: 'DEFAULT', line: 0, options: new Map() };
  readonly sections = new Map<string, OpenSection>();
  private section: OpenSection | null = null;
  private option: OpenOption | null = null;
  private indentation = 0;

  read(raw: string, line: number): void {
    const content = raw.trim();
    if (content.startsWith('#') || content.startsWith(';')) return;
    if (content === '') {
      this.option?.lines.push('');
      return;
    }
    const indentation = raw.length - raw.trimStart().length;
    if (this.option && indentation > this.indentation) {
      this.option.lines.push(content);
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
    this.section = this.sections.get(name) ?? { name, line, options: new Map() };
    this.sections.set(name, this.section);
  }

  private openOption(content: string, line: number): void {
    if (!this.section) throw new DeckhandError('InvalidIni', `${SYNTAX}.`);
    const delimiter = content.search(/[=:]/);
    // The line itself is not repeated: it may be the rest of a password.
    if (delimiter < 1)
      throw syntaxError(
        `line ${line}, in section [${this.section.name}], is neither "key = value" nor a [section] header. Mend or remove it.`,
      );
    this.option = { lines: [content.slice(delimiter + 1).trim()], line };
    this.section.options.set(content.slice(0, delimiter).trimEnd().toLowerCase(), this.option);
  }
}

const close = (options: ReadonlyMap<string, OpenOption>): ReadonlyMap<string, IniOption> =>
  new Map([...options].map(([key, { lines, line }]) => [key, { value: lines.join('\n').trimEnd(), line }]));

/** Reads the sections of a text, values not yet interpolated. Throws InvalidIni and IniTooLarge. */
export function readIniText(text: string): IniText {
  checkCharacters(text);
  const reader = new LineReader();
  text.split(/\r\n?|\n/).forEach((raw, index) => {
    reader.read(raw, index + 1);
  });
  return {
    defaults: close(reader.defaults.options),
    sections: [...reader.sections.values()].map(({ name, line, options }) => ({ name, line, options: close(options) })),
    budget: { left: 2 * LIMITS.iniCharacters },
  };
}

/**
 * The value of a key with `%%` and `%(other)s` replaced; undefined when neither the section nor [DEFAULT] has the key. Ask
 * only for `section.options` where [DEFAULT] must not leak.
 */
export function readValue(ini: IniText, section: IniSection, key: string): string | undefined {
  const option = section.options.get(key) ?? ini.defaults.get(key);
  if (option === undefined) return undefined;
  const fail = (what: string): DeckhandError =>
    new DeckhandError('InvalidIni', `[${section.name}] ${key}= (line ${option.line}): ${what}`);
  const lookUp = (name: string): string => {
    const found = (section.options.get(name) ?? ini.defaults.get(name))?.value;
    if (found === undefined) throw fail(`%(${name})s refers to a key that the section does not have.`);
    ini.budget.left -= found.length + 1;
    if (ini.budget.left < 0) throw fail('the references of this INI grow out of bounds. Write the values out.');
    return found;
  };
  return interpolate(option.value, lookUp, fail, 1);
}

function interpolate(
  value: string,
  lookUp: (name: string) => string,
  fail: (what: string) => DeckhandError,
  depth: number,
): string {
  if (depth > INTERPOLATION_DEPTH) throw fail(`references go deeper than ${INTERPOLATION_DEPTH} levels.`);
  return value.replace(/%(%|\(([^)]+)\)s)?/g, (_match, what: string | undefined, name: string | undefined) => {
    if (what === undefined) throw fail('a lone "%" is not allowed. Write "%%" for a percent sign.');
    return name === undefined ? '%' : interpolate(lookUp(name.toLowerCase()), lookUp, fail, depth + 1);
  });
}
