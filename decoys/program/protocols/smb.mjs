/**
 * SMB over TCP (445) and over NetBIOS sessions (139): the dialect is negotiated (SMB 2.0.2 or 2.1), then no session is
 * given: logon failure, and access denied for the rest. A client that speaks only SMB 1 is told that no dialect fits.
 */
import { frames } from '../framing.mjs';
import { LIMITS } from '../limits.mjs';
import { ProtocolError } from '../protocol-error.mjs';
import { deckyBytes } from '../settings.mjs';

const STATUS = { ok: 0, logonFailure: 0xc000_006d, accessDenied: 0xc000_0022, notSupported: 0xc000_00bb };
const NEGOTIATE = 0;
const SESSION_SETUP = 1;
const SMB1_HEADER = 32;
const SMB2_HEADER = 64;
const DIALECT_202 = 0x0202;
const DIALECT_210 = 0x0210;
/** "SMB 2.???" was offered: the client is to negotiate again, in SMB 2. */
const DIALECT_WILDCARD = 0x02ff;
const started = Date.now();

/** 100 ns since 1601. */
const fileTime = (ms) => BigInt(ms) * 10_000n + 116_444_736_000_000_000n;

const framed = (message) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(message.length);
  return Buffer.concat([head, message]);
};

/** An SMB 2 response header that answers the request's. */
function header(request, status) {
  const head = Buffer.alloc(SMB2_HEADER);
  head.write('\xfeSMB', 0, 'latin1');
  head.writeUInt16LE(SMB2_HEADER, 4);
  head.writeUInt32LE(status, 8);
  if (request.length >= SMB2_HEADER) request.copy(head, 12, 12, 14);
  head.writeUInt16LE(1, 14);
  head.writeUInt32LE(1, 16);
  if (request.length >= SMB2_HEADER) request.copy(head, 24, 24, 48);
  return head;
}

function negotiated(request, dialect) {
  const body = Buffer.alloc(64);
  body.writeUInt16LE(65, 0);
  body.writeUInt16LE(1, 2);
  body.writeUInt16LE(dialect, 4);
  deckyBytes('smb', 16).copy(body, 8);
  for (const at of [28, 32, 36]) body.writeUInt32LE(65_536, at);
  body.writeBigUInt64LE(fileTime(Date.now()), 40);
  body.writeBigUInt64LE(fileTime(started), 48);
  body.writeUInt16LE(SMB2_HEADER + 64, 56);
  // One byte of the (empty) security buffer counts towards the structure's size of 65.
  return Buffer.concat([header(request, STATUS.ok), body, Buffer.alloc(1)]);
}

const refused = (request, status) => Buffer.concat([header(request, status), Buffer.of(9, 0, 0, 0, 0, 0, 0, 0, 0)]);

/** An SMB 1 negotiate response whose dialect index says "none of yours". */
function noDialect(request) {
  const head = Buffer.from(request.subarray(0, SMB1_HEADER));
  head[9] |= 0x80;
  return Buffer.concat([head, Buffer.of(1, 0xff, 0xff, 0, 0)]);
}

function answerSmb1(request) {
  if (request.length < SMB1_HEADER + 3 || request[4] !== 0x72) throw new ProtocolError('SMB 1 command');
  const dialects = request.toString('latin1', SMB1_HEADER);
  if (dialects.includes('\x02SMB 2.???\0')) return negotiated(request, DIALECT_WILDCARD);
  if (dialects.includes('\x02SMB 2.002\0')) return negotiated(request, DIALECT_202);
  return noDialect(request);
}

function answerSmb2(request) {
  if (request.length < SMB2_HEADER + 4) throw new ProtocolError('SMB 2 header');
  const command = request.readUInt16LE(12);
  if (command === SESSION_SETUP) return refused(request, STATUS.logonFailure);
  if (command !== NEGOTIATE) return refused(request, STATUS.accessDenied);
  const count = request.readUInt16LE(SMB2_HEADER + 2);
  const offered = [];
  for (let at = SMB2_HEADER + 36; at + 2 <= request.length && offered.length < Math.min(count, 16); at += 2)
    offered.push(request.readUInt16LE(at));
  const dialect = [DIALECT_210, DIALECT_202].find((known) => offered.includes(known));
  return dialect ? negotiated(request, dialect) : refused(request, STATUS.notSupported);
}

/** NetBIOS session packets: type, 17 bits of length (24 on port 445). */
function packetLength(bytes) {
  if (bytes.length < 4) return undefined;
  const length = 4 + bytes.readUIntBE(1, 3);
  if (length > LIMITS.frameBytes) throw new ProtocolError('SMB length');
  return length;
}

export const smb = (connection) =>
  frames(connection, packetLength, (bytes) => {
    // Session request → positive response; keep-alive → nothing.
    if (bytes[0] === 0x81) return connection.send(Buffer.of(0x82, 0, 0, 0));
    if (bytes[0] === 0x85) return undefined;
    const request = bytes.subarray(4);
    const mark = request.toString('latin1', 0, 4);
    if (mark === '\xffSMB') return connection.send(framed(answerSmb1(request)));
    if (mark === '\xfeSMB') return connection.send(framed(answerSmb2(request)));
    throw new ProtocolError('SMB mark');
  });
