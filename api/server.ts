/**
 * Serves the app, over TLS where a certificate is given, with bounds on what clients may cost. The
 * certificate is reread when its files change.
 */

import { readFileSync } from 'node:fs';
import { createServer as createPlainServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createSecureContext } from 'node:tls';
import { createAdaptorServer } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { listen, stopServer } from '../lib/http-listening.ts';
import type { Logger } from '../lib/logger.ts';
import type { ApiEnv } from './environment.ts';

/** In milliseconds. */
export const SERVER_LIMITS = Object.freeze({
  /** A client has this long to send its headers, and its whole request. */
  headersMs: 10_000,
  requestMs: 30_000,
  handshakeMs: 10_000,
  /** How often the two above are checked. */
  checkMs: 2_000,
  keepAliveMs: 10_000,
  /**
   * A connection on which nothing moves, either way. Streams of events send a comment every 15 s.
   */
  silenceMs: 120_000,
});
/** How long answers that are under way may take when the server stops. */
export const DRAIN_MS = 20_000;
/**
 * Of each listener, unless `DECKHAND_MAX_CONNECTIONS` says otherwise; more are closed as they come.
 */
export const MAX_CONNECTIONS = 2_048;

export interface RunningServer {
  readonly port: number;
  /**
   * Takes no more connections, lets answers finish within {@link DRAIN_MS}, then closes what is
   * left.
   */
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

/**
 * The certificate of the operators' listener: two files. A change of them is taken up without a
 * restart.
 */

interface KeyPair {
  /** The certificate and what it chains by, in PEM. */
  readonly cert: string;
  readonly key: string;
}

interface OperatorTls {
  current(): KeyPair;
  /** Tells of each new pair; the answer ends that. */
  follow(take: (pair: KeyPair) => void): () => void;
}

interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** How often the files are checked. */
const CHECK_MS = 30_000;

/** Throws an Error that names the files when they can't be read or don't fit each other. */
function readPair({ certFile, keyFile }: TlsFiles): KeyPair {
  try {
    const pair = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    createSecureContext(pair);
    return pair;
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new Error(
      `DECKHAND_TLS_CERT (${certFile}) and DECKHAND_TLS_KEY (${keyFile}) make no certificate: ${reason}. Both are PEM; the first begins with the listener's own certificate.`,
      { cause },
    );
  }
}

/** Reads the pair now; a later one that is not whole is logged, and the one before stays. */
export function openOperatorTls(files: TlsFiles, logger: Logger, checkMs = CHECK_MS): OperatorTls {
  let pair = readPair(files);
  return {
    current: () => pair,
    follow(take) {
      const check = (): void => {
        try {
          const now = readPair(files);
          if (now.cert === pair.cert && now.key === pair.key) return;
          pair = now;
          take(now);
          logger.info('the operators’ listener has a new certificate');
        } catch (error) {
          logger.warn({ err: error }, 'the operators’ listener keeps its certificate');
        }
      };
      const timer = setInterval(check, checkMs).unref();
      return () => clearInterval(timer);
    },
  };
}
