/** Serves the app over plain HTTP, with bounds on what a slow client may cost. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiEnv } from './environment.ts';

/** A client has this long to send its headers, and its whole request. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
/** How long answers that are under way may take when the server stops. */
const DRAIN_MS = 20_000;
const IDLE_CHECK_MS = 100;

export interface RunningServer {
  readonly port: number;
  /** Takes no more connections, lets answers finish within {@link DRAIN_MS}, then closes what is left. */
  stop(): Promise<void>;
}

/** Stops a server as {@link RunningServer} says. */
export function stopServer(
  server: Pick<Server, 'close' | 'closeAllConnections' | 'closeIdleConnections'>,
): Promise<void> {
  return new Promise((resolve) => {
    const drained = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    // A connection that is kept alive gets idle only once its last answer is out.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
    server.close(() => {
      clearTimeout(drained);
      clearInterval(idle);
      resolve();
    });
  });
}

/** Resolves once it listens; rejects when the address is taken or not ours. */
export async function startServer(
  app: OpenAPIHono<ApiEnv>,
  address: { readonly host: string; readonly port: number },
): Promise<RunningServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: 2_000,
      keepAliveTimeout: 10_000,
    },
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return { port: (server.address() as AddressInfo).port, stop: () => stopServer(server) };
}
