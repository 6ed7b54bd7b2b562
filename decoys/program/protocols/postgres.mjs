/** PostgreSQL's protocol 3: no TLS, an MD5 challenge, then password authentication failed. */
import { randomBytes } from 'node:crypto';
import { frames } from '../framing.mjs';
import { ProtocolError } from '../protocol-error.mjs';

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const REQUESTS = 4;
const INVALID_PASSWORD = '28P01';

function message(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function fatal(code, text, file, line, routine) {
  const fields = { S: 'FATAL', V: 'FATAL', C: code, M: text, F: file, L: line, R: routine };
  const list = Object.entries(fields).map(([type, value]) => `${type}${value}\0`);
  return message('E', Buffer.from(`${list.join('')}\0`, 'latin1'));
}

/** The `user` among a startup message's name and value pairs. */
function userOf(body) {
  const words = body.toString('latin1', 0, 2048).split('\0');
  for (let at = 0; at + 1 < words.length && words[at] !== ''; at += 2)
    if (words[at] === 'user') return words[at + 1].slice(0, 63);
  return undefined;
}

export function postgres(connection) {
  let user;
  let requests = 0;
  const startup = (bytes) => {
    requests += 1;
    if (bytes.length < 8 || requests > REQUESTS) throw new ProtocolError('startup');
    const code = bytes.readUInt32BE(4);
    if (code === SSL_REQUEST || code === GSS_REQUEST) return connection.send('N');
    if (code === CANCEL_REQUEST) return connection.end();
    if (code >>> 16 !== 3) {
      const text = `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}: server supports 3.0 to 3.0`;
      return connection.end(fatal('0A000', text, 'postmaster.c', '2187', 'ProcessStartupPacket'));
    }
    user = userOf(bytes.subarray(8));
    if (!user) {
      const text = 'no PostgreSQL user name specified in startup packet';
      return connection.end(fatal('28000', text, 'postmaster.c', '2274', 'ProcessStartupPacket'));
    }
    return connection.send(message('R', Buffer.of(0, 0, 0, 5), randomBytes(4)));
  };
  const refuse = (bytes) => {
    if (bytes[0] !== 0x70) throw new ProtocolError('password expected');
    const text = `password authentication failed for user "${user}"`;
    connection.end(fatal(INVALID_PASSWORD, text, 'auth.c', '326', 'auth_failed'));
  };
  const length = (bytes) => {
    const typed = user === undefined ? 0 : 1;
    return bytes.length < typed + 4 ? undefined : typed + bytes.readUInt32BE(typed);
  };
  return frames(connection, length, (bytes) => (user === undefined ? startup(bytes) : refuse(bytes)));
}
