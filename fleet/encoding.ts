/**
 * Texts that come as bytes. Only UTF-8 is read; what is something else is named, with the place where it stands. Pure.
 *
 * 1. {@link encodingProblem}: which encoding a text has instead.
 * 2. {@link jsonEncodingProblem}: the same of a JSON body, with the line of the INI.
 * 3. {@link unreadableBody}: what a request's headers say, before a byte is read.
 * 4. {@link placeInJson}: where in a JSON document an offset lies.
 */

/** Where a text stops being UTF-8. */
export interface EncodingProblem {
  /** As a person writes it: `UTF-16 (little-endian)`. */
  readonly encoding: string;
  /** Of the first byte that is no UTF-8. */
  readonly offset: number;
  /** The byte, where a single one gives the encoding away; null for UTF-16 and UTF-32. */
  readonly byte: number | null;
}

const isBetween = (byte: number | undefined, low: number, high: number): boolean =>
  byte !== undefined && byte >= low && byte <= high;

/** How many bytes the character at `at` has; 0 where none begins there, or it is cut short. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 || lead > 0xf4 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // Overlong spellings, halves of surrogate pairs, and what lies beyond the last code point.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (length === 0 || !isBetween(bytes[at + 1], low, high)) return 0;
  for (let next = 2; next < length; next += 1) if (!isBetween(bytes[at + next], 0x80, 0xbf)) return 0;
  return length;
}

/** The offset of the first byte that is no UTF-8; null when all of them are. */
export function invalidUtf8At(bytes: Uint8Array): number | null {
  let at = 0;
  while (at < bytes.length) {
    const length = lengthAt(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return null;
}

const BYTE_ORDER_MARKS: readonly (readonly [encoding: string, mark: readonly number[]])[] = [
  ['UTF-32 (little-endian)', [0xff, 0xfe, 0, 0]],
  ['UTF-32 (big-endian)', [0, 0, 0xfe, 0xff]],
  ['UTF-16 (little-endian)', [0xff, 0xfe]],
  ['UTF-16 (big-endian)', [0xfe, 0xff]],
];
/** Enough of a text to see where its zero bytes stand. */
const SAMPLE = 512;

/** UTF-16 without its mark is valid UTF-8 as long as it is English: only the zero bytes tell. */
function wideEncoding(bytes: Uint8Array): string | null {
  const marked = BYTE_ORDER_MARKS.find(([, mark]) => mark.every((byte, at) => bytes[at] === byte));
  if (marked) return marked[0];
  const zeros = [0, 0];
  const sample = bytes.subarray(0, SAMPLE);
  for (const [at, byte] of sample.entries()) if (byte === 0) zeros[at % 2] = (zeros[at % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  const most = sample.length / 4;
  if (odd > most && even === 0) return 'UTF-16 (little-endian)';
  if (even > most && odd === 0) return 'UTF-16 (big-endian)';
  return bytes.includes(0) ? wideByContent(bytes) : null;
}

/** Text that is little English has few zero bytes. But every INI has a bracket and every JSON object a brace, and no text a NUL. */
function wideByContent(bytes: Uint8Array): string | null {
  for (const [encoding, label] of [
    ['UTF-16 (little-endian)', 'utf-16le'],
    ['UTF-16 (big-endian)', 'utf-16be'],
  ] as const) {
    try {
      const text = new TextDecoder(label, { fatal: true }).decode(bytes);
      if (/[[{]/.test(text) && !text.includes('\0')) return encoding;
    } catch {
      // Not this one.
    }
  }
  return null;
}

/** Null for UTF-8, with or without a byte order mark. */
export function encodingProblem(bytes: Uint8Array): EncodingProblem | null {
  const wide = wideEncoding(bytes);
  if (wide !== null) return { encoding: wide, offset: 0, byte: null };
  const offset = invalidUtf8At(bytes);
  if (offset === null) return null;
  const byte = bytes[offset] ?? 0;
  // ISO-8859-1 has only control characters from 0x80 to 0x9F, where Windows-1252 has its quotes and dashes.
  const encoding = byte < 0xa0 ? 'Windows-1252' : 'ISO-8859-1 or Windows-1252';
  return { encoding, offset, byte };
}

const LF = 10;
const CR = 13;

/** The line of an offset, counted from 1. CR, LF and CRLF end one each. */
export function lineAt(bytes: Uint8Array, offset: number): number {
  let line = 1;
  for (let at = 0; at < offset; at += 1) if (bytes[at] === LF || (bytes[at] === CR && bytes[at + 1] !== LF)) line += 1;
  return line;
}

/** `the byte 0xE9`. */
export const byteName = (byte: number): string => `the byte 0x${byte.toString(16).toUpperCase().padStart(2, '0')}`;

/** A JSON body that is not UTF-8: the sentence names the encoding, and the line of the INI in which the byte stands. Pure. */

/** The fields of a body that hold a whole text of lines. */
const TEXTS: ReadonlySet<string> = new Set(['ini_content', 'services_ini']);

export interface JsonEncodingProblem {
  readonly sentence: string;
  readonly offset: number;
}

/** Null for UTF-8. A byte order mark is allowed, as it is in Python. */
export function jsonEncodingProblem(bytes: Uint8Array): JsonEncodingProblem | null {
  const problem = encodingProblem(bytes);
  if (problem === null) return null;
  const { encoding, offset, byte } = problem;
  if (byte === null) return { offset, sentence: `The body is ${encoding}. Send it as UTF-8.` };
  const { key, line } = placeInJson(bytes, offset);
  const where = key !== null && TEXTS.has(key) ? `line ${line} of ${key} holds` : `at position ${offset} stands`;
  const what = `The body is not UTF-8: ${where} ${byteName(byte)}, as ${encoding} has it.`;
  return { offset, sentence: `${what} Save the text as UTF-8 and send it again.` };
}

/** What a request says of its body before a byte of it is read: only JSON in UTF-8, uncompressed, is taken. Pure. */

/** The media type without its parameters, in lower case; empty where none is given. */
export const mediaTypeOf = (contentType: string | null | undefined): string =>
  (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

export const isJsonType = (contentType: string | null | undefined): boolean =>
  mediaTypeOf(contentType) === 'application/json';

/** JSON is UTF-8, and ASCII is a part of that. */
const READ_CHARSETS: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);
const LONGEST_SHOWN = 40;

const shown = (text: string): string => JSON.stringify(text.slice(0, LONGEST_SHOWN));

/** Of several, the first that is not read. */
function otherCharset(contentType: string): string | null {
  for (const parameter of contentType.split(';').slice(1)) {
    const equals = parameter.indexOf('=');
    if (equals < 0 || parameter.slice(0, equals).trim().toLowerCase() !== 'charset') continue;
    const value = parameter
      .slice(equals + 1)
      .replaceAll('"', '')
      .trim();
    if (!READ_CHARSETS.has(value.toLowerCase())) return value;
  }
  return null;
}

export interface BodyHeaders {
  readonly contentType: string | null | undefined;
  readonly contentEncoding: string | null | undefined;
}

/** Why a body with these headers is not read, as a sentence; null where it is. */
export function unreadableBody({ contentType, contentEncoding }: BodyHeaders): string | null {
  const codings = (contentEncoding ?? '').split(',').map((coding) => coding.trim().toLowerCase());
  const coding = codings.find((name) => name !== '' && name !== 'identity');
  if (coding !== undefined)
    return `The body is sent with Content-Encoding ${shown(coding)}. Send it uncompressed, without that header.`;
  const charset = otherCharset(contentType ?? '');
  return charset === null ? null : `The body is announced with the charset ${shown(charset)}. Send it as UTF-8.`;
}

/** Where in the strings of a JSON document an offset lies, read without parsing: the document may not be readable. Pure. */

export interface JsonPlace {
  /** The key whose string the offset lies in; null outside of a value's string. */
  readonly key: string | null;
  /** The line of that string's text, counted from 1: an escaped line break counts. */
  readonly line: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const ESCAPED_LF = 0x6e;
const ESCAPED_CR = 0x72;

/** Keys are short; more of one is not kept. */
const LONGEST_KEY = 64;

const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, LONGEST_KEY));

/** Linear in `offset`. */
export function placeInJson(bytes: Uint8Array, offset: number): JsonPlace {
  let key: string | null = null;
  let last: string | null = null;
  let at = 0;
  while (at < offset) {
    const byte = bytes[at];
    if (byte === COLON) key = last;
    else if (byte === COMMA) key = null;
    if (byte !== QUOTE) {
      at += 1;
      continue;
    }
    const begin = at + 1;
    let line = 1;
    for (at = begin; at < offset && bytes[at] !== QUOTE; at += 1) {
      if (bytes[at] !== BACKSLASH) continue;
      at += 1;
      const isCrlf = bytes[at] === ESCAPED_CR && bytes[at + 1] === BACKSLASH && bytes[at + 2] === ESCAPED_LF;
      if (bytes[at] === ESCAPED_LF || (bytes[at] === ESCAPED_CR && !isCrlf)) line += 1;
    }
    if (at >= offset) return { key, line };
    last = textOf(bytes.subarray(begin, at));
    at += 1;
  }
  return { key: null, line: 1 };
}
