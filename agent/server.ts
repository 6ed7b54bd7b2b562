/** Serves the app over TLS to clients with a certificate of our CA, with bounds on what a slow client may cost. */
import { createServer, type Server } from 'node:https';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import { listen, stopServer } from '../lib/http-listening.ts';
import type { AgentIdentity } from './identity.ts';

const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
/** How often the two are looked at; Node's default would let a slow client stay for half a minute more. */
const CHECK_MS = 2_000;
const HANDSHAKE_MS = 10_000;
/** One master asks, on a few connections. */
const MAX_CONNECTIONS = 64;
/** How long answers that are under way may take when the server stops. */
const DRAIN_MS = 5_000;

export interface AgentServer {
  readonly port: number;
  /** New connections see the new certificate; those that are open stay. */
  renew(identity: AgentIdentity): void;
  stop(): Promise<void>;
}

const tlsOf = ({ certPem, keyPem, caPem }: AgentIdentity) => ({
  cert: certPem,
  key: keyPem,
  ca: caPem,
  minVersion: 'TLSv1.2' as const,
});

/** Resolves once it listens; rejects when the address is taken or not ours. */
export async function startServer(
  app: Hono<{ Bindings: HttpBindings }>,
  address: { readonly host: string; readonly port: number },
  identity: AgentIdentity,
): Promise<AgentServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    createServer,
    serverOptions: {
      ...tlsOf(identity),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_MS,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: 60_000,
    },
  }) as Server;
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, address);
  return {
    port,
    renew: (renewed) => server.setSecureContext(tlsOf(renewed)),
    stop: () => stopServer(server, DRAIN_MS),
  };
}
