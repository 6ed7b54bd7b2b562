/** MySQL's protocol version 10: the handshake, then access denied. MYSQL_VERSION. */
import { randomBytes } from 'node:crypto';
import { frames } from '../framing.mjs';
import { setting } from '../settings.mjs';

/**
 * LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS,
 * MULTI_RESULTS, PLUGIN_AUTH and so on, as a server without TLS (CLIENT_SSL, 0x800) says them.
 */
const CAPABILITIES = 0x01ff_f7ff & ~0x800;
const ACCESS_DENIED = 1045;
/** Fixed part of a HandshakeResponse41 before the user's name. */
const USER_AT = 32;
let connections = 7;

const packet = (sequence, body) => {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head[3] = sequence;
  return Buffer.concat([head, body]);
};

/** Bytes of a scramble may not be zero: it is read as a C string. */
const scramble = () => randomBytes(20).map((byte) => (byte % 94) + 33);

function handshake(version, plugin) {
  connections = (connections + 1) >>> 0;
  const salt = scramble();
  const id = Buffer.alloc(4);
  id.writeUInt32LE(connections);
  const rest = Buffer.alloc(18);
  rest.writeUInt16LE(CAPABILITIES & 0xffff, 0);
  // 8: latin1 before 8.0; 255: utf8mb4_0900_ai_ci since.
  rest[2] = plugin.startsWith('caching') ? 255 : 8;
  rest.writeUInt16LE(2, 3);
  rest.writeUInt16LE(CAPABILITIES >>> 16, 5);
  rest[7] = salt.length + 1;
  return Buffer.concat([
    Buffer.of(10),
    Buffer.from(`${version}\0`),
    id,
    salt.subarray(0, 8),
    Buffer.of(0),
    rest,
    salt.subarray(8),
    Buffer.from(`\0${plugin}\0`),
  ]);
}

function denied(body, peer) {
  const end = body.indexOf(0, USER_AT);
  const user =
    body.length > USER_AT ? body.toString('latin1', USER_AT, Math.min(end < 0 ? body.length : end, USER_AT + 80)) : '';
  const withPassword = end >= 0 && end + 1 < body.length && body[end + 1] > 0 ? 'YES' : 'NO';
  const code = Buffer.alloc(3);
  code[0] = 0xff;
  code.writeUInt16LE(ACCESS_DENIED, 1);
  const text = `#28000Access denied for user '${user}'@'${peer}' (using password: ${withPassword})`;
  return Buffer.concat([code, Buffer.from(text, 'latin1')]);
}

const packetLength = (bytes) => (bytes.length < 4 ? undefined : 4 + bytes.readUIntLE(0, 3));

export function mysql(connection) {
  const version = setting('MYSQL_VERSION', '8.0.36');
  const plugin = /^(5|10|11)\./.test(version) ? 'mysql_native_password' : 'caching_sha2_password';
  connection.send(packet(0, handshake(version, plugin)));
  return frames(connection, packetLength, (bytes) =>
    connection.end(packet((bytes[3] + 1) & 0xff, denied(bytes.subarray(4), connection.peer))),
  );
}
