/** Redis (RESP): PING and INFO answer, everything else wants a password that does not exist. REDIS_VERSION, REDIS_OS. */
import { LIMITS } from '../limits.mjs';
import { ProtocolError } from '../protocol-error.mjs';
import { deckyBytes, setting } from '../settings.mjs';

const ARGUMENTS = 1024;
const started = Date.now();

/** Arguments in RESP's array form. Undefined while incomplete, else `{ words, length }`. */
function parseArray(bytes) {
  let at = 0;
  const number = (mark) => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0 && bytes.length - at > 32) throw new ProtocolError('RESP number');
    if (end < 0) return undefined;
    const text = bytes.toString('latin1', at, end);
    if (text[0] !== mark || !/^.-?\d{1,9}$/.test(text)) throw new ProtocolError('RESP number');
    at = end + 2;
    return Number(text.slice(1));
  };
  const count = number('*');
  if (count === undefined) return undefined;
  if (count > ARGUMENTS) throw new ProtocolError('RESP arguments');
  const words = [];
  for (let index = 0; index < count; index += 1) {
    const length = number('$');
    if (length === undefined) return undefined;
    if (length < 0 || length > LIMITS.frameBytes) throw new ProtocolError('RESP length');
    if (bytes.length < at + length + 2) return undefined;
    words.push(bytes.toString('latin1', at, at + length));
    at += length + 2;
  }
  return { words, length: at };
}

function parseInline(bytes) {
  const end = bytes.indexOf(10);
  if (end < 0) return undefined;
  const words = bytes.toString('latin1', 0, end).trim().split(/\s+/);
  return { words: words[0] === '' ? [] : words, length: end + 1 };
}

const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

function info() {
  const seconds = Math.floor((Date.now() - started) / 1_000);
  return [
    '# Server',
    `redis_version:${setting('REDIS_VERSION', '7.0.15')}`,
    'redis_git_sha1:00000000',
    'redis_git_dirty:0',
    'redis_mode:standalone',
    `os:${setting('REDIS_OS', 'Linux 6.1.0-18-amd64 x86_64')}`,
    'arch_bits:64',
    'process_id:1',
    `run_id:${deckyBytes('redis', 20).toString('hex')}`,
    'tcp_port:6379',
    `uptime_in_seconds:${seconds}`,
    `uptime_in_days:${Math.floor(seconds / 86_400)}`,
    '',
    '# Clients',
    'connected_clients:1',
    '',
    '# Replication',
    'role:master',
    'connected_slaves:0',
    '',
  ].join('\r\n');
}

const NO_AUTH = '-NOAUTH Authentication required.\r\n';
const COMMANDS = {
  PING: (words) => (words.length > 1 ? bulk(words[1].slice(0, 512)) : '+PONG\r\n'),
  INFO: () => bulk(info()),
  AUTH: (words) =>
    words.length < 2
      ? "-ERR wrong number of arguments for 'auth' command\r\n"
      : '-WRONGPASS invalid username-password pair or user is disabled.\r\n',
  HELLO: () =>
    '-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n',
};

function answer(connection, words) {
  if (words.length === 0) return;
  const name = words[0].toUpperCase();
  if (name === 'QUIT') connection.end('+OK\r\n');
  else connection.send(Object.hasOwn(COMMANDS, name) ? COMMANDS[name](words) : NO_AUTH);
}

export function redis(connection) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length > 0 && !connection.ended) {
      const command = rest[0] === 0x2a ? parseArray(rest) : parseInline(rest);
      if (!command) break;
      rest = rest.subarray(command.length);
      answer(connection, command.words);
    }
    if (rest.length > LIMITS.frameBytes) throw new ProtocolError('command too long');
    rest = Buffer.from(rest);
  };
}
