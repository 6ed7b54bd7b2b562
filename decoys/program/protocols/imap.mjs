/** IMAP4rev1 (RFC 3501): a greeting, capabilities and a login that fails. Literals are asked for and read over. */
import { lines } from '../framing.mjs';
import { hostname } from '../settings.mjs';

const CAPABILITIES = 'IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN';
const TRIES = 3;
const TOO_MANY_ERRORS = 10;

export function imap(connection) {
  let failures = 0;
  let errors = 0;
  /** Takes the next line instead of a command: what follows a literal or an authentication's prompt. */
  let pending;
  const refuse = (tag) => {
    failures += 1;
    const text = `${tag} NO [AUTHENTICATIONFAILED] Authentication failed.\r\n`;
    return failures >= TRIES ? connection.end(`${text}* BYE Too many failures.\r\n`) : connection.send(text);
  };
  const bad = (tag, text) => {
    errors += 1;
    const line = `${tag} BAD ${text}\r\n`;
    return errors >= TOO_MANY_ERRORS
      ? connection.end(`${line}* BYE Too many invalid commands.\r\n`)
      : connection.send(line);
  };
  const commands = {
    CAPABILITY: (tag) => connection.send(`* CAPABILITY ${CAPABILITIES}\r\n${tag} OK Capability completed.\r\n`),
    NOOP: (tag) => connection.send(`${tag} OK NOOP completed.\r\n`),
    ID: (tag) => connection.send(`* ID NIL\r\n${tag} OK ID completed.\r\n`),
    LOGOUT: (tag) => connection.end(`* BYE Logging out\r\n${tag} OK Logout completed.\r\n`),
    STARTTLS: (tag) => bad(tag, 'TLS is not enabled.'),
    LOGIN: (tag, rest) => (rest === '' ? bad(tag, 'Missing arguments.') : refuse(tag)),
    AUTHENTICATE(tag, rest) {
      if (rest.includes(' ')) return refuse(tag);
      pending = () => refuse(tag);
      return connection.send('+ \r\n');
    },
  };
  const run = (line) => {
    const [tag = '', verb = '', ...rest] = line.trim().split(' ');
    if (tag === '' || verb === '') return bad(tag === '' ? '*' : tag.slice(0, 64), 'Missing command.');
    const name = verb.toUpperCase();
    if (!Object.hasOwn(commands, name)) return bad(tag.slice(0, 64), 'Unknown or unavailable command.');
    return commands[name](tag.slice(0, 64), rest.join(' '));
  };
  const take = (line) => {
    const literal = /\{\d{1,9}(\+?)\}$/.exec(line);
    if (literal) {
      const before = pending;
      pending = (next) => (before ? before(next) : run(`${line} ${next}`.slice(0, 1024)));
      return literal[1] === '+' ? undefined : connection.send('+ OK\r\n');
    }
    const next = pending;
    pending = undefined;
    return next ? next(line) : run(line);
  };
  connection.send(`* OK [CAPABILITY ${CAPABILITIES}] ${hostname()} ready.\r\n`);
  return lines(connection, take);
}
