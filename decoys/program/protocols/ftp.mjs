/** FTP (RFC 959): a greeting and a login that fails. */
import { lines } from '../framing.mjs';
import { hostname } from '../settings.mjs';

const TRIES = 3;
const REPLIES = {
  SYST: '215 UNIX Type: L8',
  FEAT: '211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n UTF8\r\n211 End',
  OPTS: '200 Always in UTF8 mode.',
  NOOP: '200 NOOP ok.',
  AUTH: '530 Please login with USER and PASS.',
  HELP: '214 USER PASS SYST FEAT NOOP QUIT',
};
const KNOWN =
  /^(ABOR|ACCT|ALLO|APPE|CDUP|CWD|DELE|EPRT|EPSV|LIST|MDTM|MKD|MODE|NLST|PASV|PORT|PWD|REIN|REST|RETR|RMD|RNFR|RNTO|SITE|SIZE|STAT|STOR|STOU|STRU|TYPE|XCUP|XCWD|XMKD|XPWD|XRMD)$/;

export function ftp(connection) {
  let user = false;
  let tries = 0;
  const password = () => {
    if (!user) return '503 Login with USER first.';
    user = false;
    tries += 1;
    return '530 Login incorrect.';
  };
  const reply = (verb) => {
    if (verb === 'USER') user = true;
    if (verb === 'USER') return '331 Please specify the password.';
    if (verb === 'PASS') return password();
    return REPLIES[verb] ?? (KNOWN.test(verb) ? '530 Please login with USER and PASS.' : '500 Unknown command.');
  };
  connection.send(`220 ${hostname()} FTP server ready.\r\n`);
  return lines(connection, (line) => {
    const verb = line.trim().split(' ', 1)[0].toUpperCase();
    if (verb === 'QUIT') return connection.end('221 Goodbye.\r\n');
    const text = Object.hasOwn(REPLIES, verb) ? REPLIES[verb] : reply(verb);
    return tries >= TRIES ? connection.end(`${text}\r\n`) : connection.send(`${text}\r\n`);
  });
}
