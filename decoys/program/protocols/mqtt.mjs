/** MQTT 3.1, 3.1.1 and 5: a CONNECT is answered with "not authorized". */
import { frames } from '../framing.mjs';
import { ProtocolError } from '../protocol-error.mjs';

const CONNECT = 1;
const NOT_AUTHORIZED = 5;
const UNACCEPTABLE_VERSION = 1;
const NOT_AUTHORIZED_V5 = 0x87;

/** Fixed header, "remaining length" (7 bits a byte, at most four bytes), then that many bytes. */
function packetLength(bytes) {
  let length = 0;
  for (let at = 1; at <= 4; at += 1) {
    if (at >= bytes.length) return undefined;
    length += (bytes[at] & 0x7f) * 128 ** (at - 1);
    if (bytes[at] < 0x80) return 1 + at + length;
  }
  throw new ProtocolError('remaining length');
}

function answer(bytes) {
  if (bytes[0] >> 4 !== CONNECT) throw new ProtocolError('CONNECT expected');
  let at = 1;
  while (bytes[at] >= 0x80) at += 1;
  at += 1;
  if (bytes.length < at + 2) throw new ProtocolError('CONNECT');
  const end = at + 2 + bytes.readUInt16BE(at);
  const name = bytes.toString('latin1', at + 2, end);
  if ((name !== 'MQTT' && name !== 'MQIsdp') || end >= bytes.length) throw new ProtocolError('CONNECT');
  const level = bytes[end];
  if (level === 5) return Buffer.of(0x20, 3, 0, NOT_AUTHORIZED_V5, 0);
  return Buffer.of(0x20, 2, 0, level === 3 || level === 4 ? NOT_AUTHORIZED : UNACCEPTABLE_VERSION);
}

export const mqtt = (connection) => frames(connection, packetLength, (bytes) => connection.end(answer(bytes)));
