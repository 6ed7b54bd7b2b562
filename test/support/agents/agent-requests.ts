/** Requests to an agent's listener over mutual TLS, and the certificate that it shows. */
import { once } from 'node:events';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { fingerprintOf, type Identity } from '../../../adapters/pki/authority.ts';

export interface WireAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** A body of more characters is announced and not sent: who refuses it closes the connection while it is still being written. */
const ANNOUNCED_FROM = 4 * 1024 * 1024;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly as: Identity;
}

export function callAgent(port: number, { method, path, body, as }: Call): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        agent: false,
        cert: as.certPem,
        key: as.keyPem,
        ca: as.caPem,
        headers: { 'content-type': 'application/json' },
        // Whom we trust is not what is tested here.
        rejectUnauthorized: false,
      },
      (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          answer += chunk;
        });
        response.once('error', reject);
        response.once('end', () => {
          resolve({ status: response.statusCode ?? 0, body: parsed(answer) });
          sent.destroy();
        });
      },
    );
    sent.once('error', reject);
    if (text === undefined || text.length <= ANNOUNCED_FROM) sent.end(text);
    else {
      sent.setHeader('content-length', Buffer.byteLength(text));
      sent.flushHeaders();
    }
  });
}

/** SHA-256 of it, in hexadecimal. */
export async function certificateShownBy(port: number, { certPem: cert, keyPem: key }: Identity): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, cert, key, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const fingerprint = fingerprintOf(socket.getPeerCertificate().raw);
  socket.destroy();
  return fingerprint;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
