/**
 * The agent's API (docs/wire.md#the-agent). It obeys the master alone.
 *
 * 1. The endpoints as one Hono app, built from injected parts.
 * 2. The server: TLS for clients with a certificate of our CA, with bounds on what a slow client may cost.
 */

import { createServer, type Server } from 'node:https';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { traceRequests } from '../adapters/tracing/tracing.ts';
import { type AgentStatus, MASTER_NAME } from '../fleet/agent-wire.ts';
import { unreadableBody } from '../fleet/encoding.ts';
import { isDeckhandError } from '../fleet/errors.ts';
import { listen, stopServer } from '../lib/http-listening.ts';
import type { Logger } from '../lib/logger.ts';
import {
  deployBody,
  deployOrder,
  InvalidBody,
  mutateBody,
  mutateOrder,
  readBody,
  teardownBody,
  teardownOrder,
} from './bodies.ts';
import { failureText } from './context.ts';
import { type AgentIdentity, peerOf } from './identity.ts';
import type { OrderRecord, TeardownOrderRecord } from './state.ts';

const BODY_LIMIT_BYTES = 4 * 1024 * 1024;

interface AppDependencies {
  readonly logger: Logger;
  /** SHA-256 of the master's client certificate, looked up for each request: renewal changes it. */
  readonly masterFingerprint: () => string;
  readonly status: () => Promise<AgentStatus>;
  /** Null where nothing is deployed. */
  readonly deckyNames: () => readonly string[] | null;
  readonly accept: (order: OrderRecord) => Promise<void>;
  /** Resolves when it is down. */
  readonly finish: (order: TeardownOrderRecord) => Promise<void>;
  /** Removes the own containers and stops; called once the answer is on its way. */
  readonly selfDestruct: () => void;
}

type Env = { Bindings: HttpBindings };
type App = Hono<Env>;

export function createApp(deps: AppDependencies): App {
  const app: App = new Hono();
  app.use(async (c, next) => {
    const { name, fingerprint } = peerOf(c.env.incoming.socket);
    if (name === MASTER_NAME && fingerprint === deps.masterFingerprint().toLowerCase()) return next();
    deps.logger.warn({ peer: name, fingerprint, path: c.req.path }, 'refused: not the master');
    return c.json({ detail: 'this agent obeys the certificate of its master only' }, 403);
  });
  app.use(traceRequests);
  app.use(bodyLimit({ maxSize: BODY_LIMIT_BYTES, onError: (c) => c.json({ detail: 'the body is too large' }, 413) }));
  app.use(async (c, next) => {
    const contentType = c.req.header('content-type');
    const detail = unreadableBody({ contentType, contentEncoding: c.req.header('content-encoding') });
    return detail === null ? next() : c.json({ detail }, 415);
  });
  app.notFound((c) => c.json({ detail: 'Not Found' }, 404));
  app.onError((error, c) => answerError(error, c, deps.logger));
  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/status', async (c) => c.json(await deps.status()));
  addOrders(app, deps);
  app.post('/self-destruct', (c) => {
    deps.selfDestruct();
    return c.json({ status: 'self_destruct_scheduled' });
  });
  return app;
}

const bytesOf = async (c: Context<Env>): Promise<Uint8Array> => new Uint8Array(await c.req.arrayBuffer());

function addOrders(app: App, deps: AppDependencies): void {
  app.post('/deploy', async (c) => {
    const body = readBody(deployBody, await bytesOf(c));
    // A dry run says that the order can be read; it is no deploy, and nothing is ever reported of it (gap C18).
    if (!body.dry_run) await deps.accept(deployOrder(body, new Date()));
    return c.json({ status: 'accepted', deckies: body.config.deckies.map(({ name }) => name) }, 202);
  });
  app.post('/mutate', async (c) => {
    const body = readBody(mutateBody, await bytesOf(c));
    const { decky_id, services } = body;
    if (body.dry_run) return dryMutation(c, deps, { decky_id, services });
    await deps.accept(mutateOrder(body, new Date()));
    return c.json({ status: 'accepted', decky_id, services }, 202);
  });
  app.post('/teardown', async (c) => {
    const body = readBody(teardownBody, await bytesOf(c));
    await deps.finish(teardownOrder(body, new Date()));
    return c.json({ status: 'torn_down', decky_id: body.decky_id });
  });
}

function dryMutation(
  c: Context<Env>,
  deps: AppDependencies,
  asked: { decky_id: string; services: string[] },
): Response {
  const names = deps.deckyNames();
  if (names === null) return c.json({ detail: 'no active deployment' }, 404);
  if (!names.includes(asked.decky_id))
    return c.json({ detail: `decky '${asked.decky_id}' not found in worker state` }, 404);
  return c.json({ status: 'dry_run', ...asked });
}

function answerError(error: Error, c: Context<Env>, logger: Logger): Response {
  if (error instanceof InvalidBody) return c.json({ detail: error.detail }, 422);
  if (isDeckhandError(error) && error.code === 'HostRefused') return c.json({ detail: error.message }, 409);
  logger.error({ err: error, path: c.req.path }, 'a request failed');
  if (isDeckhandError(error) && error.code === 'Unavailable') return c.json({ detail: error.message }, 503);
  return c.json({ detail: failureText(error, null) }, 500);
}

// 2. The server

const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
/** How often Node checks these two. Its default would let a slow client stay for half a minute more. */
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
