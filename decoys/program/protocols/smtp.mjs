/**
 * SMTP (RFC 5321). SMTP_BANNER and SMTP_MTA set the greeting, SMTP_OPEN_RELAY=1 takes mail for everybody. A message is
 * read to its end, acknowledged, and thrown away: nothing is relayed and nothing is kept on disk.
 */
import { randomBytes } from 'node:crypto';
import { lines } from '../framing.mjs';
import { flag, hostname, setting } from '../settings.mjs';

const SIZE = 1024 * 1024;
const RECIPIENTS = 100;
const BANNERS = {
  postfix: (host) => `${host} ESMTP Postfix (Debian/GNU)`,
  exim: (host) => `${host} ESMTP Exim 4.96 ${new Date().toUTCString().replace('GMT', '+0000')}`,
  sendmail: (host) => `${host} ESMTP Sendmail 8.17.1.9/8.17.1.9; ${new Date().toUTCString()}`,
};

export function banner(host) {
  const mta = setting('SMTP_MTA', 'postfix').toLowerCase();
  const text = setting('SMTP_BANNER', (BANNERS[mta] ?? BANNERS.postfix)(host));
  return text.replace(/^220[ -]/, '');
}

/** One dialogue: `reply(line)` gives the answer, `''` for none, or `{ last }` for a final one. */
class Dialogue {
  constructor() {
    this.host = hostname();
    this.relay = flag('SMTP_OPEN_RELAY');
    this.greeted = false;
    this.steps = [];
    this.failures = 0;
    this.forget();
  }

  forget() {
    this.from = undefined;
    this.recipients = 0;
  }

  /** Lines go to a pending step first: a message's text, or the answers of an authentication. */
  reply(line) {
    const step = this.steps.shift();
    if (step) return step(line);
    const [, verb = '', rest = ''] = /^\s*(\S*)\s*(.*)$/.exec(line) ?? [];
    const name = verb.toUpperCase();
    if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name](this, rest);
    this.failures += 1;
    return this.failures > 20 ? { last: '421 4.7.0 Too many errors' } : '502 5.5.2 Error: command not recognized';
  }
}

const message = (dialogue) => (line) => {
  if (line !== '.') {
    dialogue.steps.unshift(message(dialogue));
    return '';
  }
  dialogue.forget();
  return `250 2.0.0 Ok: queued as ${randomBytes(5).toString('hex').toUpperCase()}`;
};

const refused = (dialogue) => {
  dialogue.failures += 4;
  return '535 5.7.8 Error: authentication failed';
};

function authenticate(dialogue, rest) {
  const [mechanism = '', initial] = rest.split(/\s+/);
  const fail = () => refused(dialogue);
  if (/^plain$/i.test(mechanism)) {
    if (initial) return fail();
    dialogue.steps.push(fail);
    return '334 ';
  }
  if (!/^login$/i.test(mechanism)) return '504 5.5.4 Unrecognized authentication type';
  const askPassword = () => '334 UGFzc3dvcmQ6';
  dialogue.steps.push(...(initial ? [fail] : [askPassword, fail]));
  return initial ? askPassword() : '334 VXNlcm5hbWU6';
}

function recipient(dialogue, rest) {
  if (dialogue.from === undefined) return '503 5.5.1 Error: need MAIL command';
  const address = /^to:\s*<?([^<>\s]*)>?/i.exec(rest)?.[1];
  if (!address) return '501 5.5.4 Syntax: RCPT TO:<address>';
  const local = !address.includes('@') || address.toLowerCase().endsWith(`@${dialogue.host.toLowerCase()}`);
  if (!dialogue.relay && !local) return `554 5.7.1 <${address.slice(0, 256)}>: Relay access denied`;
  if (dialogue.recipients >= RECIPIENTS) return '452 4.5.3 Error: too many recipients';
  dialogue.recipients += 1;
  return '250 2.1.5 Ok';
}

const COMMANDS = {
  HELO(dialogue) {
    dialogue.forget();
    return `250 ${dialogue.host}`;
  },
  EHLO(dialogue) {
    dialogue.forget();
    const extensions = [
      'PIPELINING',
      `SIZE ${SIZE}`,
      'VRFY',
      'ETRN',
      'AUTH PLAIN LOGIN',
      'ENHANCEDSTATUSCODES',
      '8BITMIME',
    ];
    return [`250-${dialogue.host}`, ...extensions.map((name) => `250-${name}`), '250 DSN'].join('\r\n');
  },
  MAIL(dialogue, rest) {
    const address = /^from:\s*<?([^<>\s]*)>?/i.exec(rest);
    if (!address) return '501 5.5.4 Syntax: MAIL FROM:<address>';
    dialogue.forget();
    dialogue.from = true;
    return '250 2.1.0 Ok';
  },
  RCPT: recipient,
  DATA(dialogue) {
    if (dialogue.recipients === 0) return '503 5.5.1 Error: need RCPT command';
    dialogue.steps.push(message(dialogue));
    return '354 End data with <CR><LF>.<CR><LF>';
  },
  AUTH: authenticate,
  RSET(dialogue) {
    dialogue.forget();
    return '250 2.0.0 Ok';
  },
  NOOP: () => '250 2.0.0 Ok',
  VRFY: () => '252 2.0.0 Cannot VRFY user',
  STARTTLS: () => '454 4.7.0 TLS not available due to local problem',
  QUIT: () => ({ last: '221 2.0.0 Bye' }),
};

export function smtp(connection) {
  const dialogue = new Dialogue();
  connection.send(`220 ${banner(dialogue.host)}\r\n`);
  return lines(connection, (line) => {
    const reply = dialogue.reply(line);
    if (typeof reply === 'object') connection.end(`${reply.last}\r\n`);
    else if (dialogue.failures > 20) connection.end(`${reply}\r\n421 4.7.0 Too many errors\r\n`);
    else if (reply !== '') connection.send(`${reply}\r\n`);
  });
}
