/** Telnet (RFC 854): option negotiation, a login and password prompt, and no way in. */
import { LIMITS } from '../limits.mjs';
import { ProtocolError } from '../protocol-error.mjs';
import { hostname } from '../settings.mjs';

const IAC = 255;
const SB = 250;
const SE = 240;
const WILL = 251;
const WONT = 252;
const DO = 253;
const DONT = 254;
const ECHO = 1;
const SUPPRESS_GO_AHEAD = 3;
const OURS = [ECHO, SUPPRESS_GO_AHEAD];
const TRIES = 3;
/** Enough for an honest client, and no echo chamber for another. */
const REPLIES = 32;

/** Returns a function that takes bytes and gives those that are text; answers to options go to `reply`. */
function negotiation(reply) {
  let state = 'text';
  let verb = 0;
  let replies = 0;
  const option = (code) => {
    const refusal = verb === WILL ? DONT : verb === DO && !OURS.includes(code) ? WONT : undefined;
    if (refusal && replies < REPLIES) {
      replies += 1;
      reply(Buffer.of(IAC, refusal, code));
    }
    return 'text';
  };
  const command = (code) => {
    verb = code;
    if (code === SB) return 'parameters';
    return code >= WILL && code <= DONT ? 'option' : 'text';
  };
  const step = (byte, text) => {
    if (state === 'command' && byte !== IAC) state = command(byte);
    else if (state === 'option') state = option(byte);
    else if (state === 'parameters') state = byte === IAC ? 'end of parameters' : 'parameters';
    else if (state === 'end of parameters') state = byte === SE ? 'text' : 'parameters';
    else if (state === 'text' && byte === IAC) state = 'command';
    else {
      state = 'text';
      text.push(byte);
    }
  };
  return (chunk) => {
    const text = [];
    for (const byte of chunk) step(byte, text);
    return text;
  };
}

export function telnet(connection) {
  const name = hostname('TELNET_HOSTNAME');
  const prompt = `${name} login: `;
  connection.send(Buffer.of(...OURS.flatMap((code) => [IAC, WILL, code]), IAC, DO, SUPPRESS_GO_AHEAD));
  connection.send(`Debian GNU/Linux 12\r\n${prompt}`);
  const textOf = negotiation((bytes) => connection.send(bytes));
  let line = [];
  let user;
  let tries = 0;
  let last = 0;
  const enter = () => {
    if (user === undefined) {
      user = Buffer.from(line).toString('latin1');
      connection.send(user === '' ? prompt : 'Password: ');
      if (user === '') user = undefined;
      return;
    }
    user = undefined;
    tries += 1;
    if (tries >= TRIES) connection.end('\r\nLogin incorrect\r\n');
    else connection.send(`\r\nLogin incorrect\r\n${prompt}`);
  };
  const key = (byte) => {
    const ends = byte === 13 || (byte === 10 && last !== 13);
    last = byte;
    if (ends) {
      if (user === undefined) connection.send('\r\n');
      enter();
      line = [];
    } else if (byte === 8 || byte === 127) {
      if (line.pop() !== undefined && user === undefined) connection.send('\b \b');
    } else if (byte >= 32) {
      line.push(byte);
      if (line.length > LIMITS.lineBytes) throw new ProtocolError('line too long');
      if (user === undefined) connection.send(Buffer.of(byte));
    }
  };
  return (chunk) => {
    for (const byte of textOf(chunk)) if (!connection.ended) key(byte);
  };
}
