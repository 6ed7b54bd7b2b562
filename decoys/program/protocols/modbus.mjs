/** Modbus/TCP: every function is answered with an exception, as a device without that register would. */
import { frames } from '../framing.mjs';
import { ProtocolError } from '../protocol-error.mjs';

const HEADER = 7;
const ILLEGAL_FUNCTION = 1;
const ILLEGAL_DATA_ADDRESS = 2;
/** Reads and writes of coils and registers. */
const KNOWN = [1, 2, 3, 4, 5, 6, 15, 16];

/** Transaction, protocol (0), length of what follows, unit. */
function frameLength(bytes) {
  if (bytes.length < 6) return undefined;
  const length = bytes.readUInt16BE(4);
  if (bytes.readUInt16BE(2) !== 0 || length < 2 || length > 254) throw new ProtocolError('Modbus header');
  return 6 + length;
}

export const modbus = (connection) =>
  frames(connection, frameLength, (bytes) => {
    const code = bytes[HEADER];
    const exception = KNOWN.includes(code & 0x7f) ? ILLEGAL_DATA_ADDRESS : ILLEGAL_FUNCTION;
    connection.send(Buffer.of(bytes[0], bytes[1], 0, 0, 0, 3, bytes[6], code | 0x80, exception));
  });
