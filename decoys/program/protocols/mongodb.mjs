/** MongoDB's wire protocol: hello, ping and buildInfo answer (OP_MSG and OP_QUERY), all else wants authentication. */
import { frames } from '../framing.mjs';
import { LIMITS } from '../limits.mjs';
import { ProtocolError } from '../protocol-error.mjs';
import { deckyBytes } from '../settings.mjs';

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const HEADER = 16;
let replies = 0;

const cstring = (text) => Buffer.from(`${text}\0`);

/** Numbers of other BSON types than double. */
const int32 = (value) => ({ int32: value });
const date = (ms) => ({ date: ms });

function element(name, value) {
  const typed = (type, bytes) => Buffer.concat([Buffer.of(type), cstring(name), bytes]);
  if (typeof value === 'boolean') return typed(0x08, Buffer.of(value ? 1 : 0));
  if (typeof value === 'string') {
    const text = cstring(value);
    const length = Buffer.alloc(4);
    length.writeInt32LE(text.length);
    return typed(0x02, Buffer.concat([length, text]));
  }
  if (Array.isArray(value)) return typed(0x04, bson({ ...value }));
  const number = Buffer.alloc(8);
  if (typeof value === 'number') {
    number.writeDoubleLE(value);
    return typed(0x01, number);
  }
  if (value.int32 !== undefined) {
    number.writeInt32LE(value.int32);
    return typed(0x10, number.subarray(0, 4));
  }
  if (value.date !== undefined) {
    number.writeBigInt64LE(BigInt(value.date));
    return typed(0x09, number);
  }
  return typed(0x03, bson(value));
}

/** Encodes an object of booleans, strings, doubles, `int32`, `date`, arrays and objects. */
export function bson(document) {
  const body = Buffer.concat(Object.entries(document).map(([name, value]) => element(name, value)));
  const length = Buffer.alloc(4);
  length.writeInt32LE(body.length + 5);
  return Buffer.concat([length, body, Buffer.of(0)]);
}

/** The name of a document's first element, which is the command. */
function firstName(document) {
  const end = document.indexOf(0, 5);
  if (document.length < 6 || end < 0 || end > 5 + 128) throw new ProtocolError('BSON');
  return document.toString('latin1', 5, end);
}

const hello = (primary) => ({
  helloOk: true,
  [primary]: true,
  topologyVersion: { processId: deckyBytes('mongodb', 6).toString('hex'), counter: int32(0) },
  maxBsonObjectSize: int32(16_777_216),
  maxMessageSizeBytes: int32(48_000_000),
  maxWriteBatchSize: int32(100_000),
  localTime: date(Date.now()),
  logicalSessionTimeoutMinutes: int32(30),
  connectionId: int32(replies),
  minWireVersion: int32(0),
  maxWireVersion: int32(17),
  readOnly: false,
  ok: 1,
});

function answer(command) {
  const name = command.toLowerCase();
  if (name === 'hello') return hello('isWritablePrimary');
  if (name === 'ismaster') return hello('ismaster');
  if (name === 'ping') return { ok: 1 };
  if (name === 'buildinfo')
    return {
      version: '6.0.14',
      gitVersion: deckyBytes('mongodb git', 20).toString('hex'),
      versionArray: [int32(6), int32(0), int32(14), int32(0)],
      bits: int32(64),
      ok: 1,
    };
  const errmsg = `Command ${command} requires authentication`;
  return { ok: 0, errmsg, code: int32(13), codeName: 'Unauthorized' };
}

function message(opcode, responseTo, body) {
  replies = (replies + 1) & 0x7fff_ffff;
  const head = Buffer.alloc(HEADER);
  head.writeInt32LE(HEADER + body.length, 0);
  head.writeInt32LE(replies, 4);
  head.writeInt32LE(responseTo, 8);
  head.writeInt32LE(opcode, 12);
  return Buffer.concat([head, body]);
}

/** Flags, cursor id, starting from, number returned (1), then the document. */
const reply = (document) => Buffer.concat([Buffer.of(8, ...Array(15).fill(0), 1, 0, 0, 0), bson(document)]);

function respond(bytes) {
  const id = bytes.readInt32LE(4);
  const opcode = bytes.readInt32LE(12);
  if (opcode === OP_MSG) {
    // Flags (4 bytes) and the kind of the first section, which is a document (0) in every command.
    if (bytes.length < HEADER + 5 || bytes[HEADER + 4] !== 0) throw new ProtocolError('OP_MSG');
    const body = Buffer.concat([Buffer.alloc(5), bson(answer(firstName(bytes.subarray(HEADER + 5))))]);
    return message(OP_MSG, id, body);
  }
  if (opcode !== OP_QUERY) throw new ProtocolError('opcode');
  const name = bytes.indexOf(0, HEADER + 4);
  if (name < 0) throw new ProtocolError('OP_QUERY');
  return message(OP_REPLY, id, reply(answer(firstName(bytes.subarray(name + 9)))));
}

function messageLength(bytes) {
  if (bytes.length < 4) return undefined;
  const length = bytes.readInt32LE(0);
  if (length < HEADER || length > LIMITS.frameBytes) throw new ProtocolError('message length');
  return length;
}

export const mongodb = (connection) => frames(connection, messageLength, (bytes) => connection.send(respond(bytes)));
