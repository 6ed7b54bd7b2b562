/** SSH 2 (RFC 4253) up to the offer of algorithms; then it disconnects, saying so. */
import { randomBytes } from 'node:crypto';
import { frames } from '../framing.mjs';
import { ProtocolError } from '../protocol-error.mjs';
import { hostname } from '../settings.mjs';

const IDENTIFICATION = 'SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3';
const DISCONNECT = 1;
const KEXINIT = 20;
/** RFC 4253, 4.2: identification lines are at most 255 bytes; a client may send others before it. */
const IDENTIFICATION_LIMIT = 1024;
const OFFER = [
  'sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256',
  'rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519',
  ...Array(2).fill(
    'chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com',
  ),
  ...Array(2).fill(
    'umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1',
  ),
  ...Array(2).fill('none,zlib@openssh.com'),
  '',
  '',
];

const string = (text) => {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

/** An unencrypted packet: length, padding length, payload, padding to a multiple of 8. */
function packet(...payload) {
  const body = Buffer.concat(payload);
  const padding = 8 - ((body.length + 5) % 8) + (8 - ((body.length + 5) % 8) < 4 ? 8 : 0);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(1 + body.length + padding, 0);
  head[4] = padding;
  return Buffer.concat([head, body, Buffer.alloc(padding)]);
}

const keyExchangeOffer = () => packet(Buffer.of(KEXINIT), randomBytes(16), ...OFFER.map(string), Buffer.alloc(5));

/** Reason 3: key exchange failed. */
const farewell = () =>
  packet(Buffer.of(DISCONNECT, 0, 0, 0, 3), string(`Connection closed by ${hostname('SSH_HOSTNAME')}`), string(''));

const packetLength = (bytes) => (bytes.length < 4 ? undefined : 4 + bytes.readUInt32BE(0));

export function ssh(connection) {
  connection.send(`${IDENTIFICATION}\r\n`);
  const packets = frames(
    connection,
    packetLength,
    (bytes) => {
      if (bytes[5] !== KEXINIT) connection.end(farewell());
    },
    35_000,
  );
  let identified = false;
  let waiting = Buffer.alloc(0);
  return (chunk) => {
    if (identified) return packets(chunk);
    waiting = Buffer.concat([waiting, chunk]);
    const match = /^(?:.*\n)*?SSH-[^\n]*\n/.exec(waiting.toString('latin1', 0, IDENTIFICATION_LIMIT));
    if (!match) {
      if (waiting.length < IDENTIFICATION_LIMIT && !/\n/.test(waiting.toString('latin1'))) return undefined;
      connection.end('Invalid SSH identification string.\r\n');
      return undefined;
    }
    if (!/SSH-(2\.0|1\.99)-/.test(match[0])) throw new ProtocolError('SSH version');
    identified = true;
    connection.send(keyExchangeOffer());
    return packets(waiting.subarray(match[0].length));
  };
}
