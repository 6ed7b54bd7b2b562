/** `/metrics` of a program that has no HTTP of its own. Loopback unless told otherwise: it asks for no token. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { Registry } from 'prom-client';
import { z } from 'zod';
import { portVariable } from '../../lib/environment.ts';
import { listen } from '../../lib/http-listening.ts';
import type { Logger } from '../../lib/logger.ts';

/** Part of a program's environment; 0 or absent: no listener. */
export const METRICS_VARIABLES = {
  DECKHAND_METRICS_PORT: portVariable.default(0),
  DECKHAND_METRICS_HOST: z.string().default('127.0.0.1'),
};

export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

/** Null: no listener. */
export const metricsAddress = (env: {
  readonly DECKHAND_METRICS_PORT: number;
  readonly DECKHAND_METRICS_HOST: string;
}): MetricsAddress | null =>
  env.DECKHAND_METRICS_PORT === 0 ? null : { host: env.DECKHAND_METRICS_HOST, port: env.DECKHAND_METRICS_PORT };

export interface MetricsListener {
  readonly port: number;
  stop(): Promise<void>;
}

const HEADERS_MS = 5_000;
const CHECK_MS = 2_000;
const MAX_CONNECTIONS = 32;

/** `more` is text of other metrics that goes along, such as the Temporal SDK's own; without it the rest is served. */
export async function serveMetrics(
  registry: Registry,
  address: MetricsAddress,
  more: () => Promise<string> = async () => '',
): Promise<MetricsListener> {
  const server = createServer(
    { headersTimeout: HEADERS_MS, requestTimeout: HEADERS_MS, connectionsCheckingInterval: CHECK_MS },
    (request, response) => {
      void answer(request, response).catch(() => response.destroy());
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  async function answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (url?.split('?')[0] !== '/metrics') return void response.writeHead(404).end();
    if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405, { allow: 'GET, HEAD' }).end();
    const texts = await Promise.all([registry.metrics(), more().catch(() => '')]);
    response.writeHead(200, { 'content-type': registry.contentType }).end(texts.filter(Boolean).join('\n'));
  }
  const port = await listen(server, address);
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** As {@link serveMetrics}, for programs whose work matters more: an address that can't be had is a warning. */
export async function serveMetricsIfAsked(
  registry: Registry,
  address: MetricsAddress | null,
  logger: Logger,
  more?: () => Promise<string>,
): Promise<MetricsListener | null> {
  if (address === null) return null;
  try {
    const listener = await serveMetrics(registry, address, more);
    logger.info({ host: address.host, port: listener.port }, 'metrics listen');
    return listener;
  } catch (error) {
    logger.warn({ err: error, ...address }, 'no metrics: DECKHAND_METRICS_PORT can’t be listened on');
    return null;
  }
}

/** The Temporal SDK serves its own metrics on a port of its own; they are read from there and go along with ours. */

const LOOPBACK = '127.0.0.1';
const READ_MS = 2_000;

export interface SdkExporter {
  /** For the runtime's telemetry options. */
  readonly bindAddress: string;
  /** Prometheus text; rejects while the runtime does not serve. */
  read(): Promise<string>;
}

/** Chooses a free port on loopback; the runtime takes it a moment later. */
export async function chooseSdkExporter(): Promise<SdkExporter> {
  const bindAddress = `${LOOPBACK}:${await freePort()}`;
  return {
    bindAddress,
    async read() {
      const answer = await fetch(`http://${bindAddress}/metrics`, { signal: AbortSignal.timeout(READ_MS) });
      return answer.text();
    },
  };
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createTcpServer();
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
