/** SNMP 1 and 2c (RFC 1157, 3416): the system group for the community `public`, silence for others. */
import { ber, berElements, berInteger, berOid, oidText, TAG } from '../ber.mjs';
import { hostname } from '../settings.mjs';

const GET = 0xa0;
const GET_NEXT = 0xa1;
const RESPONSE = 0xa2;
const SET = 0xa3;
const GET_BULK = 0xa5;
const NO_SUCH_NAME = 2;
const NOT_WRITABLE = 17;
const NO_SUCH_OBJECT = 0x80;
const END_OF_MIB = 0x82;
const TIME_TICKS = 0x43;
const VARIABLES = 16;
const started = Date.now();

const text = (value) => () => ber(TAG.octets, Buffer.from(value));
/** 1.3.6.1.2.1.1.n.0, in order. */
const SYSTEM = new Map([
  ['1.3.6.1.2.1.1.1.0', () => text(`Linux ${hostname()} 6.1.0-18-amd64 x86_64`)()],
  ['1.3.6.1.2.1.1.2.0', () => berOid('1.3.6.1.4.1.8072.3.2.10')],
  ['1.3.6.1.2.1.1.3.0', () => berInteger(Math.floor((Date.now() - started) / 10) % 2 ** 32, TIME_TICKS)],
  ['1.3.6.1.2.1.1.4.0', text('root')],
  ['1.3.6.1.2.1.1.5.0', () => text(hostname())()],
  ['1.3.6.1.2.1.1.6.0', text('Unknown')],
  ['1.3.6.1.2.1.1.7.0', () => berInteger(72)],
]);

/** Whether the first identifier comes before the second one. */
function before(first, second) {
  const [a, b] = [first.split('.').map(Number), second.split('.').map(Number)];
  const at = a.findIndex((number, index) => number !== b[index]);
  return at < 0 ? a.length < b.length : b[at] !== undefined && a[at] < b[at];
}

/** One variable of the answer, or undefined where there is none. */
function look(name, next) {
  const found = next ? [...SYSTEM.keys()].find((known) => before(name, known)) : name;
  const value = found === undefined ? undefined : SYSTEM.get(found);
  return value && ber(TAG.sequence, berOid(found), value());
}

function names(list) {
  return berElements(list.value)
    .slice(0, VARIABLES)
    .map((variable) => oidText(berElements(variable.value)[0].value));
}

/** The answer's protocol data unit; undefined for what gets none. */
function respond(version, unit) {
  if (![GET, GET_NEXT, SET, GET_BULK].includes(unit.tag)) return undefined;
  const [id, , , list] = berElements(unit.value);
  if (id?.tag !== TAG.integer || id.value.length > 5 || list?.tag !== TAG.sequence) return undefined;
  const build = (status, index, bindings) =>
    ber(RESPONSE, ber(TAG.integer, id.value), berInteger(status), berInteger(index), bindings);
  const asked = names(list);
  const echo = ber(TAG.sequence, list.value);
  if (unit.tag === SET) return build(version === 0 ? NO_SUCH_NAME : NOT_WRITABLE, 1, echo);
  const next = unit.tag !== GET;
  const found = asked.map((name) => look(name, next));
  const missing = found.indexOf(undefined);
  if (version === 0 && missing >= 0) return build(NO_SUCH_NAME, missing + 1, echo);
  const nothing = next ? END_OF_MIB : NO_SUCH_OBJECT;
  const bindings = found.map((binding, at) => binding ?? ber(TAG.sequence, berOid(asked[at]), ber(nothing)));
  return build(0, 0, ber(TAG.sequence, ...bindings));
}

export function snmp(datagram) {
  let parts;
  try {
    parts = berElements(berElements(datagram)[0]?.value ?? Buffer.alloc(0));
    const [version, community, unit] = parts;
    // Version 0 is SNMP 1, 1 is 2c; 3 has no community and is not spoken.
    if (!unit || ![0, 1].includes(version.value[0]) || community.value.toString('latin1') !== 'public')
      return undefined;
    const answer = respond(version.value[0], unit);
    return answer && ber(TAG.sequence, ber(TAG.integer, version.value), ber(TAG.octets, community.value), answer);
  } catch {
    // Broken BER is not answered, as with a real agent.
    return undefined;
  }
}
