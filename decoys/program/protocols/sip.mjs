/** SIP (RFC 3261), UDP and TCP: OPTIONS is answered with 200, a registration or a call with 401, then 403. */
import { randomBytes } from 'node:crypto';
import { LIMITS } from '../limits.mjs';
import { ProtocolError } from '../protocol-error.mjs';
import { deckyBytes, hostname } from '../settings.mjs';

const ALLOW = 'INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER';
const HEADERS = 64;
const LONG = { v: 'via', f: 'from', t: 'to', i: 'call-id', l: 'content-length' };
const NEEDED = ['via', 'from', 'to', 'call-id', 'cseq'];

/** Method and headers (name → lines as sent) of a request's head; undefined for what is no request, or a broken one. */
function parse(text) {
  const [first = '', ...rest] = text.split(/\r?\n/);
  const request = /^([A-Z]{1,20}) \S{1,512} SIP\/2\.0$/.exec(first);
  if (!request || rest.length > HEADERS) return undefined;
  const headers = new Map();
  for (const line of rest) {
    const match = /^([A-Za-z-]{1,32})\s*:\s*(.*)$/.exec(line);
    if (!match) continue;
    const name = LONG[match[1].toLowerCase()] ?? match[1].toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), match[2]]);
  }
  return { method: request[1], headers, complete: NEEDED.every((name) => headers.has(name)) };
}

const challenge = () =>
  `WWW-Authenticate: Digest realm="${hostname().replace(/"/g, '')}", nonce="${randomBytes(16).toString('hex')}", algorithm=MD5`;

/** Status line and extra header lines; undefined where nothing is to be said. */
function decide({ method, headers, complete }) {
  if (method === 'ACK') return undefined;
  if (!complete) return ['400 Bad Request'];
  if (method === 'OPTIONS') return ['200 OK', `Allow: ${ALLOW}`, 'Accept: application/sdp'];
  if (method === 'BYE' || method === 'CANCEL') return ['481 Call/Transaction Does Not Exist'];
  if (method !== 'REGISTER' && method !== 'INVITE') return ['405 Method Not Allowed', `Allow: ${ALLOW}`];
  return headers.has('authorization') ? ['403 Forbidden'] : ['401 Unauthorized', challenge()];
}

function respond(text) {
  const request = parse(text);
  const decision = request && decide(request);
  if (!decision) return undefined;
  const [status, ...extra] = decision;
  const tag = deckyBytes('sip', 5).toString('hex');
  const echo = NEEDED.flatMap((name) =>
    (request.headers.get(name) ?? []).map((value) => {
      const tagged = name === 'to' && !/;tag=/i.test(value) ? `${value};tag=${tag}` : value;
      return `${{ via: 'Via', from: 'From', to: 'To', 'call-id': 'Call-ID', cseq: 'CSeq' }[name]}: ${tagged}`;
    }),
  );
  return Buffer.from([`SIP/2.0 ${status}`, ...echo, ...extra, 'Content-Length: 0', '', ''].join('\r\n'), 'latin1');
}

export const sipDatagram = (datagram) =>
  respond(datagram.toString('latin1', 0, LIMITS.lineBytes).split(/\r?\n\r?\n/, 1)[0]);

export function sipStream(connection) {
  let rest = '';
  return (chunk) => {
    rest += chunk.toString('latin1');
    for (let end = rest.indexOf('\r\n\r\n'); end >= 0 && !connection.ended; end = rest.indexOf('\r\n\r\n')) {
      const head = rest.slice(0, end).trimStart();
      const body = Number(/^(?:content-length|l)\s*:\s*(\d{1,7})\s*$/im.exec(head)?.[1] ?? 0);
      if (body > LIMITS.frameBytes) throw new ProtocolError('SIP body');
      if (rest.length < end + 4 + body) break;
      rest = rest.slice(end + 4 + body);
      if (head === '') continue;
      const answer = respond(head);
      if (answer) connection.send(answer);
      else if (!/^ACK /.test(head)) connection.end();
    }
    if (rest.length > LIMITS.frameBytes + LIMITS.lineBytes) throw new ProtocolError('SIP message');
  };
}
