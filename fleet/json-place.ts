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
