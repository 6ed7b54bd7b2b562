/** TFTP (RFC 1350): there are no files to read and none may be written. */
const READ = 1;
const WRITE = 2;
const ERROR = 5;

const refusal = (code, text) => Buffer.concat([Buffer.of(0, ERROR, 0, code), Buffer.from(`${text}\0`)]);

/** Texts are short: the shortest request there is has six bytes, and the answer may have four times as many. */
export function tftp(datagram) {
  if (datagram.length < 4) return undefined;
  const opcode = datagram.readUInt16BE(0);
  // An error is never answered, or two servers could talk for ever.
  if (opcode === ERROR) return undefined;
  if (opcode === READ) return refusal(1, 'File not found');
  if (opcode === WRITE) return refusal(2, 'Access violation');
  return refusal(4, 'Illegal op');
}
