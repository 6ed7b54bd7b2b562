/** Serves the app over plain HTTP, with bounds on what a slow client may cost. */
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { listen, stopServer } from '../adapters/http-listening.ts';
import type { ApiEnv } from './environment.ts';

/** A client has this long to send its headers, and its whole request. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
/** How long answers that are under way may take when the server stops. */
export const DRAIN_MS = 20_000;

export interface RunningServer {
  readonly port: number;
  /** Takes no more connections, lets answers finish within {@link DRAIN_MS}, then closes what is left. */
  stop(): Promise<void>;
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
  const port = await listen(server, address);
  return { port, stop: () => stopServer(server, DRAIN_MS) };
}
