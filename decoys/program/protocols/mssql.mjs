/** Microsoft's TDS: an answer to PRELOGIN, then login failed (error 18456). */
import { frames } from '../framing.mjs';
import { ProtocolError } from '../protocol-error.mjs';
import { hostname } from '../settings.mjs';

const PRELOGIN = 0x12;
const LOGIN7 = 0x10;
const RESPONSE = 0x04;
const HEADER = 8;
/** 15.0.2000, SQL Server 2019. */
const VERSION = [0x0f, 0x00, 0x07, 0xd0, 0x00, 0x00];
const ENCRYPTION_NOT_SUPPORTED = 2;

function packet(body) {
  const head = Buffer.alloc(HEADER);
  head[0] = RESPONSE;
  head[1] = 1;
  head.writeUInt16BE(HEADER + body.length, 2);
  head[6] = 1;
  return Buffer.concat([head, body]);
}

/** Options: token, offset and length each, a terminator, then the data. */
function prelogin() {
  const data = [VERSION, [ENCRYPTION_NOT_SUPPORTED], [0], [], [0]];
  let at = data.length * 5 + 1;
  const options = data.flatMap((bytes, token) => {
    const option = [token, at >> 8, at & 0xff, 0, bytes.length];
    at += bytes.length;
    return option;
  });
  return Buffer.from([...options, 0xff, ...data.flat()]);
}

const counted = (text, bytes) => {
  const length = Buffer.alloc(bytes);
  length.writeUIntLE(text.length, 0, bytes);
  return Buffer.concat([length, Buffer.from(text, 'utf16le')]);
};

/** The user's name of a LOGIN7: offset and length (in characters) stand at 40 of its body. */
function userOf(body) {
  if (body.length < 44) throw new ProtocolError('LOGIN7');
  const at = body.readUInt16LE(40);
  const end = at + 2 * Math.min(body.readUInt16LE(42), 128);
  if (end > body.length) throw new ProtocolError('LOGIN7');
  return body.toString('utf16le', at, end);
}

function loginFailed(user) {
  const number = Buffer.alloc(6);
  number.writeUInt32LE(18456, 0);
  number[4] = 1;
  number[5] = 14;
  const error = Buffer.concat([
    number,
    counted(`Login failed for user '${user}'.`, 2),
    counted(hostname(), 1),
    counted('', 1),
    Buffer.of(1, 0, 0, 0),
  ]);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(error.length);
  // DONE: status error (2), no command, no rows.
  const done = Buffer.of(0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  return Buffer.concat([Buffer.of(0xaa), length, error, done]);
}

const packetLength = (bytes) => (bytes.length < HEADER ? undefined : Math.max(bytes.readUInt16BE(2), HEADER));

export function mssql(connection) {
  return frames(connection, packetLength, (bytes) => {
    if (bytes[0] === PRELOGIN) connection.send(packet(prelogin()));
    else if (bytes[0] === LOGIN7) connection.end(packet(loginFailed(userOf(bytes.subarray(HEADER)))));
    else throw new ProtocolError('TDS packet');
  });
}
