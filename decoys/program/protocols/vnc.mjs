/** VNC's RFB 3.3, 3.7 and 3.8 (RFC 6143): VNC authentication, which fails. */
import { randomBytes } from 'node:crypto';
import { frames } from '../framing.mjs';
import { ProtocolError } from '../protocol-error.mjs';

const VERSION_BYTES = 12;
const CHALLENGE_BYTES = 16;
const VNC_AUTHENTICATION = 2;
const FAILED = Buffer.of(0, 0, 0, 1);

const reason = (text) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
};

export function vnc(connection) {
  let minor = 0;
  let step;
  const result = {
    length: CHALLENGE_BYTES,
    take: () => connection.end(minor >= 8 ? Buffer.concat([FAILED, reason('Authentication failure')]) : FAILED),
  };
  const challenge = () => {
    step = result;
    return randomBytes(CHALLENGE_BYTES);
  };
  const security = {
    length: 1,
    take(bytes) {
      if (bytes[0] !== VNC_AUTHENTICATION) throw new ProtocolError('security type');
      connection.send(challenge());
    },
  };
  const version = {
    length: VERSION_BYTES,
    take(bytes) {
      const match = /^RFB (\d{3})\.(\d{3})\n$/.exec(bytes.toString('latin1'));
      if (!match || Number(match[1]) < 3) throw new ProtocolError('RFB version');
      minor = Number(match[1]) > 3 ? 8 : Number(match[2]);
      step = security;
      // Before 3.7 the server chooses; since then it offers a list.
      if (minor < 7) connection.send(Buffer.concat([Buffer.of(0, 0, 0, VNC_AUTHENTICATION), challenge()]));
      else connection.send(Buffer.of(1, VNC_AUTHENTICATION));
    },
  };
  step = version;
  connection.send('RFB 003.008\n');
  return frames(
    connection,
    () => step.length,
    (bytes) => step.take(bytes),
  );
}
