/** POP3 (RFC 1939): a greeting and a login that fails. */
import { lines } from '../framing.mjs';
import { hostname } from '../settings.mjs';

const TRIES = 3;
const CAPABILITIES = ['CAPA', 'TOP', 'UIDL', 'RESP-CODES', 'PIPELINING', 'USER', 'SASL PLAIN'];

export function pop3(connection) {
  let user = false;
  let awaiting = false;
  let tries = 0;
  const refuse = () => {
    user = false;
    tries += 1;
    const text = '-ERR [AUTH] Authentication failed.\r\n';
    return tries >= TRIES ? connection.end(text) : connection.send(text);
  };
  const commands = {
    CAPA: () => connection.send(`+OK\r\n${CAPABILITIES.join('\r\n')}\r\n.\r\n`),
    USER() {
      user = true;
      connection.send('+OK\r\n');
    },
    PASS: () => (user ? refuse() : connection.send('-ERR No username given.\r\n')),
    APOP: refuse,
    AUTH(argument) {
      if (argument === '') return connection.send('+OK\r\nPLAIN\r\n.\r\n');
      if (argument.includes(' ')) return refuse();
      awaiting = true;
      return connection.send('+ \r\n');
    },
    QUIT: () => connection.end('+OK Logging out\r\n'),
  };
  connection.send(`+OK ${hostname()} POP3 server ready.\r\n`);
  return lines(connection, (line) => {
    if (awaiting) {
      awaiting = false;
      return refuse();
    }
    const [verb = '', ...rest] = line.trim().split(' ');
    const name = verb.toUpperCase();
    return Object.hasOwn(commands, name)
      ? commands[name](rest.join(' '))
      : connection.send('-ERR Unknown command.\r\n');
  });
}
