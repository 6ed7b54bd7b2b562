/** The Basic Encoding Rules, as far as SNMP, LDAP and a certificate need them: definite lengths, one-byte tags. */
import { ProtocolError } from './protocol-error.mjs';

export const TAG = Object.freeze({
  integer: 0x02,
  bitString: 0x03,
  octets: 0x04,
  nothing: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8: 0x0c,
  sequence: 0x30,
  set: 0x31,
});

/** A tag, length and value; `contents` are buffers, put one after the other. */
export function ber(tag, ...contents) {
  const body = Buffer.concat(contents);
  const { length } = body;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), body]);
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), body]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), body]);
}

/** A non-negative integer below 2^48, in as few bytes as BER allows. */
export function berInteger(value, tag = TAG.integer) {
  const bytes = Buffer.alloc(7);
  bytes.writeUIntBE(value, 1, 6);
  let from = 0;
  while (from < 6 && bytes[from] === 0 && bytes[from + 1] < 0x80) from += 1;
  return ber(tag, bytes.subarray(from));
}

/** An object identifier given as `1.3.6.1`. */
export function berOid(text) {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return ber(TAG.oid, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

function base128(value) {
  const bytes = [value % 128];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) bytes.unshift((left % 128) | 0x80);
  return bytes;
}

/** The length of the element that starts the bytes, header included; undefined while its header is incomplete. */
export function berLength(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes[1];
  if (short < 0x80) return 2 + short;
  const count = short & 0x7f;
  if (count === 0 || count > 3) throw new ProtocolError('BER length');
  return bytes.length < 2 + count ? undefined : 2 + count + bytes.readUIntBE(2, count);
}

/** The elements that follow each other in the bytes, at most 64: `{ tag, value }`. Throws ProtocolError on a broken one. */
export function berElements(bytes) {
  const elements = [];
  let rest = bytes;
  while (rest.length > 0 && elements.length < 64) {
    const length = berLength(rest);
    if (length === undefined || length > rest.length) throw new ProtocolError('BER element');
    const header = rest[1] < 0x80 ? 2 : 2 + (rest[1] & 0x7f);
    elements.push({ tag: rest[0], value: rest.subarray(header, length) });
    rest = rest.subarray(length);
  }
  return elements;
}

/** The text of an object identifier's value. */
export function oidText(value) {
  if (value.length === 0 || value.length > 64) throw new ProtocolError('OID');
  const numbers = [Math.floor(value[0] / 40), value[0] % 40];
  let current = 0;
  for (const byte of value.subarray(1)) {
    current = current * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      numbers.push(current);
      current = 0;
    }
  }
  return numbers.join('.');
}
