/** Texts that come as bytes: only UTF-8 is read, and what is something else is called by its name and place. Pure. */

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
