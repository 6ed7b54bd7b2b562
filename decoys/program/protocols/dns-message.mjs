/** DNS messages (RFC 1035), as far as DNS, LLMNR and mDNS need them: one question in, one answer out. */
export const TYPE = Object.freeze({ A: 1, NS: 2, SOA: 6, TXT: 16, MX: 15, OPT: 41, ANY: 255 });
export const CLASS = Object.freeze({ IN: 1, CHAOS: 3, ANY: 255 });
export const RCODE = Object.freeze({ ok: 0, formatError: 1, nameError: 3, notImplemented: 4, refused: 5 });
const HEADER = 12;
const NSID = 3;

/** Labels of an uncompressed name and where it ends; undefined for a broken one. Names of a question are not compressed. */
function readName(bytes, from) {
  const labels = [];
  let at = from;
  while (at < bytes.length && at - from < 255) {
    const length = bytes[at];
    if (length === 0) return { name: labels.join('.'), end: at + 1 };
    if (length > 63 || at + 1 + length > bytes.length) return undefined;
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return undefined;
}

/**
 * Reads a query. Undefined for what must not be answered (too short, or a response). `broken` when the question can't be
 * read; `edns` is the sender's UDP size, 0 without EDNS; `nsid` whether it wants the server's name.
 */
export function readQuery(bytes) {
  if (bytes.length < HEADER || bytes[2] & 0x80) return undefined;
  const query = {
    id: bytes.readUInt16BE(0),
    flags: bytes.readUInt16BE(2),
    opcode: (bytes[2] >> 3) & 15,
    edns: 0,
    nsid: false,
  };
  const question = bytes.readUInt16BE(4) === 1 ? readName(bytes, HEADER) : undefined;
  if (!question || question.end + 4 > bytes.length) return { ...query, broken: true, question: Buffer.alloc(0) };
  query.name = question.name;
  query.type = bytes.readUInt16BE(question.end);
  // The top bit asks mDNS for a unicast answer.
  query.class = bytes.readUInt16BE(question.end + 2) & 0x7fff;
  query.question = bytes.subarray(HEADER, question.end + 4);
  return { ...query, ...readEdns(bytes, question.end + 4) };
}

/** EDNS (RFC 6891) where it is the one record after the question. */
function readEdns(bytes, at) {
  const alone = bytes.readUInt16BE(6) === 0 && bytes.readUInt16BE(8) === 0 && bytes.readUInt16BE(10) === 1;
  if (!alone || at + 11 > bytes.length || bytes[at] !== 0 || bytes.readUInt16BE(at + 1) !== TYPE.OPT) return {};
  const end = Math.min(bytes.length, at + 11 + bytes.readUInt16BE(at + 9));
  let nsid = false;
  for (let option = at + 11; option + 4 <= end; option += 4 + bytes.readUInt16BE(option + 2))
    if (bytes.readUInt16BE(option) === NSID) nsid = true;
  return { edns: Math.max(512, bytes.readUInt16BE(at + 3)), nsid };
}

export function writeName(name) {
  const labels = name.split('.').filter((label) => label !== '');
  const parts = labels.flatMap((label) => {
    const bytes = Buffer.from(label.slice(0, 63), 'latin1');
    return [Buffer.of(bytes.length), bytes];
  });
  return Buffer.concat([...parts, Buffer.of(0)]);
}

export const textData = (text) => {
  const bytes = Buffer.from(text).subarray(0, 255);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
};

/** A record about the question's own name (a pointer to it), or about `owner`. */
export function record({ type, ttl = 300, data, owner, recordClass = CLASS.IN }) {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(recordClass, 2);
  head.writeUInt32BE(ttl, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner === undefined ? Buffer.of(0xc0, HEADER) : writeName(owner), head, data]);
}

function optRecord(nsid) {
  const option = nsid === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.of(0, NSID, 0, nsid.length), nsid]);
  const head = Buffer.alloc(11);
  head.writeUInt16BE(TYPE.OPT, 1);
  head.writeUInt16BE(1232, 3);
  head.writeUInt16BE(option.length, 9);
  return Buffer.concat([head, option]);
}

/**
 * The answer to a query. What does not fit into `limit` bytes is left out and said to be (TC); undefined when not even
 * the bare header and question fit.
 */
export function writeResponse(query, reply, limit = 65_535) {
  const { answers = [], authority = [], rcode = RCODE.ok, authoritative = false, recursion = false, nsid } = reply;
  const additional =
    query.edns > 0 ? [optRecord(query.nsid && nsid ? Buffer.from(nsid).subarray(0, 64) : undefined)] : [];
  const build = (lists, truncated) => {
    const head = Buffer.alloc(HEADER);
    head.writeUInt16BE(query.id, 0);
    const kept = query.flags & 0x7900;
    const bits = 0x8000 | (authoritative ? 0x0400 : 0) | (truncated ? 0x0200 : 0) | (recursion ? 0x0080 : 0) | rcode;
    head.writeUInt16BE(kept | bits, 2);
    head.writeUInt16BE(query.broken ? 0 : 1, 4);
    for (const [at, list] of lists.entries()) head.writeUInt16BE(list.length, 6 + 2 * at);
    return Buffer.concat([head, query.question, ...lists.flat()]);
  };
  const whole = build([answers, authority, additional], false);
  if (whole.length <= limit) return whole;
  const bare = build([[], [], []], true);
  return bare.length <= limit ? bare : undefined;
}
