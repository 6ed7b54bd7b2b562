/** Cuts a stream into lines or frames, with a bound on what waits for its end. */
import { LIMITS } from './limits.mjs';
import { ProtocolError } from './protocol-error.mjs';

/**
 * Lines that end with LF or CRLF, as latin1 text without their end. A line over the limit is a ProtocolError.
 * `onLine` may change; nothing more is handed over once the connection has ended.
 */
export function lines(connection, onLine, limit = LIMITS.lineBytes) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let at = rest.indexOf(10); at >= 0 && !connection.ended; at = rest.indexOf(10)) {
      const end = at > 0 && rest[at - 1] === 13 ? at - 1 : at;
      const text = rest.toString('latin1', 0, end);
      rest = rest.subarray(at + 1);
      onLine(text);
    }
    if (rest.length > limit) throw new ProtocolError('line too long');
    // A copy, so that a few bytes do not keep a whole 64 KiB chunk alive.
    rest = Buffer.from(rest);
  };
}

/**
 * Frames whose whole length `lengthOf(bytes)` tells, or undefined while it can't. A frame over the limit is a ProtocolError.
 */
export function frames(connection, lengthOf, onFrame, limit = LIMITS.frameBytes) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length > 0 && !connection.ended) {
      const length = lengthOf(rest);
      if (length !== undefined && (length <= 0 || length > limit)) throw new ProtocolError('frame too long');
      if (length === undefined || rest.length < length) break;
      const frame = rest.subarray(0, length);
      rest = rest.subarray(length);
      onFrame(frame);
    }
    if (rest.length > limit) throw new ProtocolError('frame too long');
    rest = Buffer.from(rest);
  };
}
