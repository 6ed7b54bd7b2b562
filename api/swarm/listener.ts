/** The TLS listener of the swarm controller: asks for a certificate, and lets none in that is not of our CA. */
import { constants } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import type { Authority } from '../../adapters/pki/authority.ts';
import { listen, stopServer } from '../../lib/http-listening.ts';
import type { Logger } from '../../lib/logger.ts';
import type { ApiEnv } from '../environment.ts';
import { DRAIN_MS, MAX_CONNECTIONS, type RunningServer, SERVER_LIMITS } from '../server.ts';

/** Agents report every 30 s, on the connection that they have. */
const KEEP_ALIVE_MS = 90_000;
const RENEWAL_CHECK_MS = 24 * 60 * 60 * 1000;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Names and addresses under which hosts reach this master; the certificate carries them. */
  readonly names: readonly string[];
  readonly authority: Authority;
  readonly logger: Logger;
  readonly maxConnections?: number;
  /** Of time, as the operators' listener has them; how long a connection may be idle is the agents'. */
  readonly limits?: Partial<Record<'headersMs' | 'requestMs' | 'handshakeMs' | 'checkMs', number>>;
  /** How often the certificate is looked at; default daily. */
  readonly renewalCheckMs?: number;
}

async function secureContext({ authority, names }: ListenerOptions) {
  const { keyPem, certPem, caPem } = await authority.server(names);
  return {
    key: keyPem,
    cert: certPem,
    ca: caPem,
    minVersion: 'TLSv1.2' as const,
    // No resumption: every connection shows its certificate, and it is judged anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** In TLS 1.3 a client may send before its certificate was judged: nothing of that is read. */
function refuseStrangers(socket: TLSSocket): void {
  if (socket.getPeerX509Certificate() !== undefined && !socket.authorized) socket.destroy();
}

/** Resolves once it listens; rejects when the address is taken or not ours. */
export async function startListener(app: Hono<ApiEnv>, options: ListenerOptions): Promise<RunningServer> {
  const limits = { ...SERVER_LIMITS, ...options.limits };
  const server = createAdaptorServer({
    fetch: app.fetch,
    createServer,
    serverOptions: {
      ...(await secureContext(options)),
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeMs,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: limits.checkMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
  }) as Server;
  server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
  server.prependListener('secureConnection', refuseStrangers);
  server.on('tlsClientError', (_, socket) => socket.destroy());
  const port = await listen(server, options);
  const stopping = new AbortController();
  void keepCertificate(server, options, stopping.signal);
  return {
    port,
    stop: () => {
      stopping.abort();
      return stopServer(server, DRAIN_MS);
    },
  };
}

/** Looks daily whether the certificate is due; connections that are open keep the old one. */
async function keepCertificate(server: Server, options: ListenerOptions, signal: AbortSignal): Promise<void> {
  for (;;) {
    await pause(options.renewalCheckMs ?? RENEWAL_CHECK_MS, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return;
    await secureContext(options).then(
      (context) => server.setSecureContext(context),
      (error: unknown) =>
        options.logger.error({ err: error }, 'the swarm controller’s certificate could not be renewed'),
    );
  }
}
