/**
 * One JSON object a line on stdout. A pipe that nobody reads must not stop the decoy: it is written to without blocking
 * (process.stdout would block), one batch at a time, the queue is bounded, and what is dropped is counted and told. A
 * blocked thread of the pool would do for writing, but process.exit() would wait for it.
 */
import { write } from 'node:fs';
import { Socket } from 'node:net';
import { LIMITS } from './limits.mjs';

const queue = [];
let writing = false;
let dropped = 0;
let service = '';
const send = output();

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
  send(Buffer.from(queue.splice(0, 64).join('')), flush);
}

/** `send(bytes, done)` for a pipe or socket; a regular file, which net.Socket refuses, is written by node:fs. */
function output() {
  try {
    const socket = new Socket({ fd: 1, readable: false, writable: true });
    // A reader that has gone away takes the log with it, not the decoy.
    socket.on('error', () => {});
    return (bytes, done) => socket.write(bytes, done);
  } catch {
    return (bytes, done) => write(1, bytes, done);
  }
}
