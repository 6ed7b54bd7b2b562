/**
 * One JSON object a line on stdout. A pipe that nobody reads must not stop the decoy: writes go through libuv's thread
 * pool, one at a time (process.stdout would block on a pipe), the queue is bounded, and what is dropped is counted and told.
 */
import { write } from 'node:fs';
import { LIMITS } from './limits.mjs';

const queue = [];
let writing = false;
let dropped = 0;
let service = '';

/** Configured secrets, to be cut out wherever they turn up; the catalogue's default `admin` is none. */
const secrets = Object.entries(process.env)
  .filter(([name, value]) => /PASSWORD|TLS_KEY/.test(name) && value && value !== 'admin')
  .map(([, value]) => Buffer.from(value));

/** Names the service in every later line. */
export const setService = (name) => {
  service = name;
};

/** Queues a line; never blocks, never throws. */
export function log(fields) {
  if (queue.length >= LIMITS.logLines) {
    dropped += 1;
    return;
  }
  queue.push(line(fields));
  if (!writing) flush();
}

/** Printable ASCII as it is, all else as `\xNN` (a backslash as `\\`); at most LIMITS.firstBytes bytes. */
export function escapeBytes(bytes) {
  let text = '';
  for (const byte of cutSecrets(bytes).subarray(0, LIMITS.firstBytes)) {
    if (byte === 0x5c) text += '\\\\';
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else if (byte === 0x0d) text += '\\r';
    else if (byte === 0x0a) text += '\\n';
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

/** Resolves when all queued lines are written, or after `ms`: a reader that reads nothing must not keep the program alive. */
export function drain(ms) {
  return new Promise((resolve) => {
    const until = Date.now() + ms;
    const look = () => (!writing || Date.now() > until ? resolve() : setTimeout(look, 5));
    look();
  });
}

function line(fields) {
  const head = { time: new Date().toISOString(), service, decky: process.env.NODE_NAME ?? '' };
  return `${JSON.stringify({ ...head, ...fields })}\n`;
}

function cutSecrets(bytes) {
  let clean = bytes;
  for (const secret of secrets) {
    for (let at = clean.indexOf(secret); at >= 0; at = clean.indexOf(secret, at + 3))
      clean = Buffer.concat([clean.subarray(0, at), Buffer.from('***'), clean.subarray(at + secret.length)]);
  }
  return clean;
}

function flush() {
  if (dropped > 0 && queue.length < LIMITS.logLines) {
    queue.push(line({ event: 'dropped', lines: dropped }));
    dropped = 0;
  }
  if (queue.length === 0) {
    writing = false;
    return;
  }
  writing = true;
  writeAll(Buffer.from(queue.splice(0, 64).join('')), flush);
}

function writeAll(bytes, done) {
  write(1, bytes, (error, written) => {
    if (error?.code === 'EAGAIN') setTimeout(writeAll, 20, bytes, done);
    else if (error || written === bytes.length) done();
    else writeAll(bytes.subarray(written), done);
  });
}
