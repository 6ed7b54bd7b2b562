/** The last lines of a container's log, as evidence that can stand in a sentence. */
import { stripVTControlCharacters } from 'node:util';

export const EVIDENCE_LINES = 10;
export const EVIDENCE_CHARACTERS = 1_200;

/** Header of a frame in the engine's multiplexed stream: stream number, three zeros, length (big endian). */
const HEADER_BYTES = 8;

/** The engine's multiplexed stdout and stderr → text, in order. A raw stream (of a terminal) is taken as it is. */
export function demultiplex(buffer: Buffer): string {
  const parts: Buffer[] = [];
  let offset = 0;
  while (offset + HEADER_BYTES <= buffer.length) {
    const [stream, zero1, zero2, zero3] = buffer.subarray(offset, offset + 4);
    if (stream === undefined || stream > 2 || zero1 !== 0 || zero2 !== 0 || zero3 !== 0) return buffer.toString('utf8');
    const length = buffer.readUInt32BE(offset + 4);
    parts.push(buffer.subarray(offset + HEADER_BYTES, offset + HEADER_BYTES + length));
    offset += HEADER_BYTES + length;
  }
  return (parts.length > 0 ? Buffer.concat(parts) : buffer).toString('utf8');
}

/** Control characters but the line feed, C1 included: what a decoy wrote must not steer an operator's terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g;

/** The last ten lines without ANSI sequences and control characters, at most 1,200 characters, the end kept. */
export function cleanLog(text: string): string {
  const lines = stripVTControlCharacters(text).replace(/\r\n/g, '\n').replace(CONTROL, ' ').split('\n');
  const kept = lines
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-EVIDENCE_LINES)
    .join('\n');
  return kept.length > EVIDENCE_CHARACTERS ? `…${kept.slice(1 - EVIDENCE_CHARACTERS)}` : kept;
}
