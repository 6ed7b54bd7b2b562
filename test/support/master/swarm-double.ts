/** A swarm controller that does what a test says: real TLS with a CA of its own, no rows and no workflows behind it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type Authority, fingerprintOf, type Identity } from '../../../adapters/pki/authority.ts';
import type { Delta, HeartbeatBody } from '../../../fleet/agent-wire.ts';

export interface ReceivedHeartbeat {
  readonly body: HeartbeatBody;
  readonly fingerprint: string;
  readonly answered: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface SwarmDouble {
  readonly url: string;
  readonly heartbeats: ReceivedHeartbeat[];
  /** Connections that were made, TLS or not. */
  connections: number;
  /** Requests that anybody has sent, whatever came of them. */
  readonly requests: string[];
  /** Default: 204 to a heartbeat, 404 to all else. */
  answer: (path: string, body: unknown, peer: string) => Answer | Promise<Answer>;
  /** Deltas of heartbeats that were taken, in order. */
  deltas(): Delta[];
  away(): Promise<void>;
  back(): Promise<void>;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8') || 'null');
}

const taken = (path: string): Answer => ({ status: path === '/swarm/heartbeat' ? 204 : 404 });

/** `identity`: what it shows; by default the CA's own `swarmctl`. */
export async function swarmDouble(authority: Authority, identity?: Identity): Promise<SwarmDouble> {
  const own = identity ?? (await authority.server(['127.0.0.1']));
  let server: Server | null = null;
  let port = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? '';
    double.requests.push(`${request.method} ${path}`);
    const body = await bodyOf(request);
    const { raw } = (request.socket as TLSSocket).getPeerCertificate();
    const fingerprint = raw ? fingerprintOf(raw) : '';
    const answer =
      path === '/swarm/ca' ? { status: 200, body: authority.caPem } : await double.answer(path, body, fingerprint);
    if (path === '/swarm/heartbeat')
      double.heartbeats.push({ body: body as HeartbeatBody, fingerprint, answered: answer.status });
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? null);
    response.writeHead(answer.status, { ...answer.headers });
    response.end(answer.status === 204 ? undefined : text);
  };
  const double: SwarmDouble & { url: string } = {
    url: '',
    connections: 0,
    heartbeats: [],
    requests: [],
    answer: taken,
    deltas: () =>
      double.heartbeats.filter(({ answered }) => answered === 204).flatMap(({ body }) => body.lifecycle ?? []),
    away: () =>
      new Promise((resolve) => {
        if (!server) return resolve();
        server.close(() => resolve());
        server.closeAllConnections();
        server = null;
      }),
    back: () =>
      new Promise((resolve, reject) => {
        const made = createServer(
          { key: own.keyPem, cert: own.certPem, ca: authority.caPem, requestCert: true, rejectUnauthorized: false },
          (request, response) => void handle(request, response).catch(() => response.destroy()),
        );
        server = made;
        made.on('connection', () => {
          double.connections += 1;
        });
        made.once('error', reject);
        made.listen(port, '127.0.0.1', () => {
          port = (made.address() as AddressInfo).port;
          double.url = `https://127.0.0.1:${port}`;
          resolve();
        });
      }),
  };
  await double.back();
  return double;
}
