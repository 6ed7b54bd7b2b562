/** LLMNR (RFC 4795) and mDNS (RFC 6762): the decky answers for its own name, and for no other. */
import { frames } from '../framing.mjs';
import { hostname, ownAddress } from '../settings.mjs';
import { CLASS, readQuery, record, TYPE, writeResponse } from './dns-message.mjs';

const LLMNR_TTL = 30;
const MDNS_TTL = 120;
const ownName = hostname().split('.')[0].toLowerCase();

function respond(message, name, ttl, limit) {
  const query = readQuery(message);
  if (!query || query.broken || query.opcode !== 0 || query.class !== CLASS.IN) return undefined;
  if (query.name.toLowerCase() !== name) return undefined;
  const answers = [TYPE.A, TYPE.ANY].includes(query.type) ? [record({ type: TYPE.A, ttl, data: ownAddress() })] : [];
  // Of the query's flags only the opcode is repeated: bits that mean recursion in DNS mean other things here.
  return writeResponse({ ...query, flags: 0, edns: 0 }, { answers }, limit);
}

export const llmnr = (datagram, _peer, limit) => respond(datagram, ownName, LLMNR_TTL, limit);

export function mdns(datagram, _peer, limit) {
  const answer = respond(datagram, `${ownName}.local`, MDNS_TTL, limit);
  // mDNS answers are always authoritative.
  if (answer) answer[2] |= 0x04;
  return answer;
}

export const llmnrStream = (connection) =>
  frames(
    connection,
    (bytes) => (bytes.length < 2 ? undefined : 2 + bytes.readUInt16BE(0)),
    (bytes) => {
      const answer = respond(bytes.subarray(2), ownName, LLMNR_TTL, 65_535);
      if (!answer) return connection.end();
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      return connection.send(Buffer.concat([length, answer]));
    },
  );
