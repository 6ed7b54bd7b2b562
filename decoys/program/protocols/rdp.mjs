/**
 * RDP (MS-RDPBCGR) up to the choice of security. RDP_ENABLE_NLA: network level authentication is required, so that a
 * client without it is refused; else TLS or plain RDP is agreed on, and the connection ends at the next message.
 */
import { frames } from '../framing.mjs';
import { ProtocolError } from '../protocol-error.mjs';
import { flag } from '../settings.mjs';

const CONNECTION_REQUEST = 0xe0;
const PROTOCOL = { rdp: 0, tls: 1, nla: 2 };
const NEGOTIATION_RESPONSE = 2;
const NEGOTIATION_FAILURE = 3;
const NLA_REQUIRED = 5;

const confirm = (type, value) =>
  Buffer.concat([
    // TPKT header, 19 bytes; X.224 connection confirm, 14 bytes follow; negotiation data, 8 bytes.
    Buffer.of(3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0),
    Buffer.of(type, 0, 8, 0, value, 0, 0, 0),
  ]);

const tpktLength = (bytes) => {
  if (bytes[0] !== 3) throw new ProtocolError('TPKT');
  return bytes.length < 4 ? undefined : Math.max(bytes.readUInt16BE(2), 4);
};

/** The protocols that a connection request asks for; 0 without negotiation data. */
function requested(bytes) {
  if (bytes.length < 11 || bytes[5] !== CONNECTION_REQUEST) throw new ProtocolError('connection request');
  const data = bytes.subarray(11);
  // A routing cookie may stand first, ended by CRLF.
  const cookie = data.indexOf('\r\n');
  const negotiation = data.subarray(cookie < 0 ? 0 : cookie + 2);
  return negotiation.length >= 8 && negotiation[0] === 1 ? negotiation.readUInt32LE(4) : 0;
}

export function rdp(connection) {
  const close = () => connection.end();
  let agreed = false;
  return frames(connection, tpktLength, (bytes) => {
    if (agreed) return close();
    const asked = requested(bytes);
    agreed = true;
    if (flag('RDP_ENABLE_NLA')) {
      if (!(asked & PROTOCOL.nla)) return connection.end(confirm(NEGOTIATION_FAILURE, NLA_REQUIRED));
      return connection.startTls(confirm(NEGOTIATION_RESPONSE, PROTOCOL.nla), close);
    }
    if (asked & PROTOCOL.tls) return connection.startTls(confirm(NEGOTIATION_RESPONSE, PROTOCOL.tls), close);
    return connection.send(confirm(NEGOTIATION_RESPONSE, PROTOCOL.rdp));
  });
}
