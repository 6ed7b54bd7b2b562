/** Who may answer where an agent is expected: HTTP over mutual TLS, TLS alone, plain TCP, and OpenSSL's own server. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { Identity } from '../../../adapters/pki/authority.ts';

export interface TestAgent {
  readonly port: number;
  readonly server: Server;
  /** Paths of the requests that came. */
  readonly requests: string[];
  /** Fingerprints of the clients, one for each connection. */
  readonly peers: string[];
  readonly resumed: boolean[];
  close(): Promise<void>;
}

export async function serve(
  identity: Identity,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  more: ServerOptions = {},
): Promise<TestAgent> {
  const requests: string[] = [];
  const peers: string[] = [];
  const resumed: boolean[] = [];
  const { keyPem: key, certPem: cert, caPem: ca } = identity;
  const server = createServer(
    { key, cert, ca, requestCert: true, rejectUnauthorized: true, ...more },
    (request, response) => {
      requests.push(request.url ?? '');
      request.resume().once('end', () => answer(request, response));
    },
  );
  server.on('secureConnection', (socket: TLSSocket) => {
    peers.push(socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '');
    resumed.push(socket.isSessionReused());
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    server,
    requests,
    peers,
    resumed,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** TLS without HTTP: keeps what comes through it, and closes at the first bytes. */
export async function listen(identity: Identity): Promise<Listener & { received(): string; ended(): Promise<void> }> {
  let received = '';
  const { keyPem: key, certPem: cert, caPem: ca } = identity;
  const server = createTlsServer({ key, cert, ca, requestCert: true, rejectUnauthorized: true });
  const ended = new Promise<void>((resolve) => {
    const watch = (socket: Socket): void => {
      socket.on('error', () => {});
      socket.once('close', () => resolve());
    };
    server.on('secureConnection', (socket) => {
      watch(socket);
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1');
        socket.destroy();
      });
    });
    server.on('tlsClientError', () => resolve());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => received,
    ended: () => ended,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

export type Listener = Pick<TestAgent, 'port' | 'close'>;

export async function serveTcp(meet: (socket: Socket) => void): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    meet(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** OpenSSL's own server, which judges a client's certificate inside the handshake; null where it is not installed. */
export async function serveOpenSsl(root: string, identity: Identity, version: string): Promise<Listener | null> {
  const path = (name: string): string => join(root, name);
  await Promise.all([
    writeFile(path('agent.key'), identity.keyPem, { mode: 0o600 }),
    writeFile(path('agent.crt'), identity.certPem),
    writeFile(path('ca.crt'), identity.caPem),
  ]);
  const free = await serveTcp(() => {});
  await free.close();
  const files = ['-key', path('agent.key'), '-cert', path('agent.crt'), '-CAfile', path('ca.crt')];
  const trust = ['-Verify', '2', '-verify_return_error', version];
  const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${free.port}`, ...files, ...trust], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const started = await Promise.race([
    once(child, 'error').then(() => false),
    says(child.stdout, 'ACCEPT').then(() => true),
  ]);
  if (!started) return null;
  return {
    port: free.port,
    close: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

/** Its first words come before it listens. */
async function says(stream: NodeJS.ReadableStream, word: string): Promise<void> {
  let text = '';
  for await (const chunk of stream) {
    text += String(chunk);
    if (text.includes(word)) return;
  }
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
