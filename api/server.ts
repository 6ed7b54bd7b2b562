/** Serves the app, over TLS where a certificate is given, with bounds on what clients may cost. */
import { createServer as createPlainServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createAdaptorServer } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { listen, stopServer } from '../lib/http-listening.ts';
import type { ApiEnv } from './environment.ts';
import type { OperatorTls } from './operator-tls.ts';

/** In milliseconds. */
export const SERVER_LIMITS = Object.freeze({
  /** A client has this long to send its headers, and its whole request. */
  headersMs: 10_000,
  requestMs: 30_000,
  handshakeMs: 10_000,
  /** How often the two above are looked at. */
  checkMs: 2_000,
  keepAliveMs: 10_000,
  /** A connection on which nothing moves, either way. Streams of events send a comment every 15 s. */
  silenceMs: 120_000,
});
/** How long answers that are under way may take when the server stops. */
export const DRAIN_MS = 20_000;
/** Of each listener, unless `DECKHAND_MAX_CONNECTIONS` says otherwise; more are closed as they come. */
export const MAX_CONNECTIONS = 2_048;

export interface RunningServer {
  readonly port: number;
  /** Takes no more connections, lets answers finish within {@link DRAIN_MS}, then closes what is left. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  /** Without one, plain HTTP. */
  readonly tls?: OperatorTls | null;
  readonly maxConnections?: number;
  readonly limits?: Partial<Record<keyof typeof SERVER_LIMITS, number>>;
}

/** Resolves once it listens; rejects when the address is taken or not ours. */
export async function startServer(app: OpenAPIHono<ApiEnv>, options: ServerOptions): Promise<RunningServer> {
  const { tls, maxConnections = MAX_CONNECTIONS } = options;
  const limits = { ...SERVER_LIMITS, ...options.limits };
  const bounds = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    keepAliveTimeout: limits.keepAliveMs,
  };
  const secure = tls && { ...tls.current(), minVersion: 'TLSv1.2' as const, handshakeTimeout: limits.handshakeMs };
  const server = createAdaptorServer({
    fetch: app.fetch,
    createServer: secure ? createTlsServer : createPlainServer,
    serverOptions: { ...bounds, ...secure },
  }) as Server;
  server.timeout = limits.silenceMs;
  server.maxConnections = maxConnections;
  server.on('tlsClientError', (_, socket) => socket.destroy());
  const unfollow = tls?.follow((pair) => Reflect.apply(Reflect.get(server, 'setSecureContext'), server, [pair]));
  const port = await listen(server, options);
  return {
    port,
    stop: () => {
      unfollow?.();
      return stopServer(server, DRAIN_MS);
    },
  };
}
