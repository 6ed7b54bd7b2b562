/**
 * DNS, UDP and TCP. DNS_ZONE_MODE: `auth` answers for its own zone and refuses the rest, `recursive` and `open` answer
 * every name with the decky's own address (a sinkhole). It never asks another server, whatever DNS_REAL_RECURSIVE says:
 * a decoy makes no connections of its own.
 */
import { frames } from '../framing.mjs';
import { hostname, ownAddress, setting } from '../settings.mjs';
import { CLASS, RCODE, readQuery, record, TYPE, textData, writeName, writeResponse } from './dns-message.mjs';

const UDP_WITHOUT_EDNS = 512;
const EXTRA_RECORDS = 200;
const mode = setting('DNS_ZONE_MODE', 'auth').toLowerCase();
const zone = (setting('DNS_DOMAIN') ?? `${setting('NODE_NAME', hostname())}.lan`).toLowerCase().replace(/\.$/, '');
const serverName = setting('DNS_NSID', hostname());

const address = (text) => (/^(\d{1,3}\.){3}\d{1,3}$/.test(text) ? Buffer.from(text.split('.').map(Number)) : undefined);

/** `name [ttl] [IN] A address` or `… TXT text`, one a line; what can't be read is left out. Returns name → [type, data] pairs. */
function extraRecords(text) {
  const found = new Map();
  for (const line of text.split(/\r?\n|\\n/).slice(0, EXTRA_RECORDS)) {
    const match = /^\s*(\S+)\s+(?:\d+\s+)?(?:IN\s+)?(A|TXT)\s+(.+?)\s*$/i.exec(line);
    const data =
      match && (match[2].toUpperCase() === 'A' ? address(match[3]) : textData(match[3].replace(/^"|"$/g, '')));
    if (!data) continue;
    const given = match[1].toLowerCase();
    const name =
      given === '@'
        ? zone
        : given.endsWith('.')
          ? given.slice(0, -1)
          : given.endsWith(zone)
            ? given
            : `${given}.${zone}`;
    found.set(name, [...(found.get(name) ?? []), [TYPE[match[2].toUpperCase()], data]]);
  }
  return found;
}

const own = ownAddress();
const records = extraRecords(process.env.DNS_EXTRA_RECORDS ?? '');
for (const name of [zone, `ns1.${zone}`, `www.${zone}`, `mail.${zone}`])
  records.set(name, [[TYPE.A, own], ...(records.get(name) ?? [])]);
records.get(zone).push([TYPE.NS, writeName(`ns1.${zone}`)], [TYPE.SOA, startOfAuthority()]);
records.get(zone).push([TYPE.MX, Buffer.concat([Buffer.of(0, 10), writeName(`mail.${zone}`)])]);

function startOfAuthority() {
  const numbers = Buffer.alloc(20);
  // Serial, refresh, retry, expire, minimum.
  for (const [at, number] of [2_024_010_101, 3_600, 900, 604_800, 300].entries()) numbers.writeUInt32BE(number, 4 * at);
  return Buffer.concat([writeName(`ns1.${zone}`), writeName(`hostmaster.${zone}`), numbers]);
}

function chaos(query) {
  const texts = {
    'version.bind': setting('DNS_BIND_VERSION', '9.11.4-P2-RedHat-9.11.4-26.P2.el7_9.10'),
    'hostname.bind': serverName,
    'id.server': serverName,
  };
  const text = texts[query.name.toLowerCase()];
  if (text === undefined || ![TYPE.TXT, TYPE.ANY].includes(query.type)) return { rcode: RCODE.refused };
  const answer = record({ type: TYPE.TXT, ttl: 0, data: textData(text), recordClass: CLASS.CHAOS });
  return { answers: [answer], authoritative: true };
}

function inZone(query, name) {
  const known = records.get(name);
  const soa = record({ type: TYPE.SOA, data: startOfAuthority(), owner: zone });
  if (!known) return { rcode: RCODE.nameError, authority: [soa], authoritative: true };
  const answers = known.filter(([type]) => type === query.type).map(([type, data]) => record({ type, data }));
  return { answers, authority: answers.length === 0 ? [soa] : [], authoritative: true };
}

function answer(query) {
  if (query.broken) return { rcode: RCODE.formatError };
  if (query.opcode !== 0) return { rcode: RCODE.notImplemented };
  if (query.class === CLASS.CHAOS) return chaos(query);
  // ANY is what amplifiers ask for.
  if (query.class !== CLASS.IN || query.type === TYPE.ANY) return { rcode: RCODE.refused };
  const name = query.name.toLowerCase();
  const recursion = mode === 'recursive' || mode === 'open';
  if (name === zone || name.endsWith(`.${zone}`)) return { ...inZone(query, name), recursion };
  if (!recursion) return { rcode: RCODE.refused };
  return { answers: query.type === TYPE.A ? [record({ type: TYPE.A, data: own })] : [], recursion };
}

export function dnsDatagram(datagram, _peer, limit) {
  const query = readQuery(datagram);
  if (!query) return undefined;
  const size = Math.min(limit, query.edns || UDP_WITHOUT_EDNS);
  return writeResponse(query, { ...answer(query), nsid: serverName }, size);
}

/** A TCP message carries its length in front (RFC 1035, 4.2.2). */
export const messageLength = (bytes) => (bytes.length < 2 ? undefined : 2 + bytes.readUInt16BE(0));

export function withLength(message) {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

export const dnsStream = (connection) =>
  frames(connection, messageLength, (bytes) => {
    const query = readQuery(bytes.subarray(2));
    if (!query) return connection.end();
    return connection.send(withLength(writeResponse(query, { ...answer(query), nsid: serverName })));
  });
