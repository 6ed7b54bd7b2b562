/** Bodies that a route may be sent in place of the one it wants. Bytes and headers only: who sends them is the test's. */

export interface StrangeBody {
  readonly what: string;
  /** Pairs, since a header may come twice. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly chunked?: boolean;
}

const JSON_TYPE = ['Content-Type', 'application/json'] as const;
const typed = (type: string) => [['Content-Type', type]] as const;
const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const raw = (...bytes: number[]): Uint8Array<ArrayBuffer> => Uint8Array.from(bytes);
const utf16 = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(`\uFEFF${text}`, 'utf16le'));
const joined = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.concat(parts));

const body = (what: string, bytes: Uint8Array<ArrayBuffer>): StrangeBody => ({ what, headers: [JSON_TYPE], bytes });
const announced = (what: string, headers: StrangeBody['headers'], text = '{}'): StrangeBody => ({
  what,
  headers,
  bytes: utf8(text),
});

/** No byte of a body: as if none were announced. */
export const EMPTY: readonly StrangeBody[] = [
  { what: 'nothing at all', headers: [], bytes: raw() },
  body('an empty body', raw()),
  { ...body('an empty chunked body', raw()), chunked: true },
  { what: 'an empty body of text', headers: typed('text/plain'), bytes: raw() },
];

/** Nobody can read these. */
export const UNREADABLE: readonly StrangeBody[] = [
  body('white space', utf8(' \r\n\t')),
  body('JSON cut short', utf8('{"ini_content": "[a')),
  body('JSON with a comma too many', utf8('{"a": 1,}')),
  body('two documents', utf8('{} {}')),
  body('an invalid byte', joined(utf8('{"ini_content": "[a]\\nx=caf'), raw(0xe9), utf8('"}'))),
  body('an overlong spelling', joined(utf8('{"a": "'), raw(0xc0, 0x80), utf8('"}'))),
  body('half a surrogate pair in UTF-8', joined(utf8('{"a": "'), raw(0xed, 0xa0, 0x80), utf8('"}'))),
  body('UTF-8 cut short', joined(utf8('{"a": "'), raw(0xe2, 0x82))),
  body('UTF-16', utf16('{}')),
  body('UTF-16 without a mark', raw(0x7b, 0, 0x7d, 0)),
  body('a NUL', utf8('{"a": 1}\0')),
  body('gzip without its header', raw(0x1f, 0x8b, 8, 0, 0, 0)),
];

/** Announced as something that is not read; refused by 415. */
export const UNWANTED: readonly StrangeBody[] = [
  announced('the charset utf-16', typed('application/json; charset=utf-16')),
  announced('the charset latin1', typed('application/json;charset=latin1')),
  announced('a charset of nonsense', typed('application/json; charset="no, such; thing"')),
  announced('gzip', [JSON_TYPE, ['Content-Encoding', 'gzip']]),
  announced('br', [JSON_TYPE, ['Content-Encoding', 'br']]),
  announced('an encoding of nonsense', [JSON_TYPE, ['Content-Encoding', 'x-nonsense']]),
  announced('two encodings', [JSON_TYPE, ['Content-Encoding', 'identity, deflate']]),
];

/** Refused by 415 where JSON has to be announced. */
export const NOT_JSON: readonly StrangeBody[] = [
  announced('text', typed('text/plain')),
  announced('a form', typed('application/x-www-form-urlencoded'), 'a=b'),
  announced('a type that begins like JSON', typed('application/jsonlines')),
  announced('two types', [JSON_TYPE, ['Content-Type', 'text/plain']]),
  announced('the type twice', [JSON_TYPE, JSON_TYPE]),
  announced('an empty type', typed('')),
  announced('no type', []),
];

/** JSON, but no object. */
export const NO_OBJECT: readonly StrangeBody[] = ['null', '[]', '"x"', '0', 'true', '[{}]'].map((text) =>
  body(text, utf8(text)),
);

/** `{}` in other clothes: answered as `{}` is. */
export const PLAIN: StrangeBody = body('{}', utf8('{}'));
export const SAME_AS_PLAIN: readonly StrangeBody[] = [
  body('a byte order mark', joined(raw(0xef, 0xbb, 0xbf), utf8('{}'))),
  body('white space around it', utf8('\n {}\r\n')),
  announced('the type in odd case', typed('Application/JSON ; Charset="UTF-8"')),
  announced('a type with other parameters', typed('application/json;q=1;v=')),
  announced('the encoding identity', [JSON_TYPE, ['Content-Encoding', 'identity']]),
  { ...PLAIN, what: 'a chunked body', chunked: true },
];

export const ALL: readonly StrangeBody[] = [
  ...EMPTY,
  ...UNREADABLE,
  ...UNWANTED,
  ...NOT_JSON,
  ...NO_OBJECT,
  PLAIN,
  ...SAME_AS_PLAIN,
];
