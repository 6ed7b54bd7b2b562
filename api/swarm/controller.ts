/**
 * Puts the swarm controller together: its adapters, its TLS listener, the names that hosts reach it
 * by, and what it does by the clock: it marks unreachable hosts, and notices that the master's
 * certificate was renewed.
 */

import { constants } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { type AgentClient, createAgentClient } from '../../adapters/agent/client.ts';
import type { ApiMetrics } from '../../adapters/metrics/metrics.ts';
import { type Authority, openAuthority } from '../../adapters/pki/authority.ts';
import { createAudit } from '../../adapters/postgres/audit.ts';
import type { Sql } from '../../adapters/postgres/connect.ts';
import { createEnrollments, createEnrollmentTokens, rememberMaster } from '../../adapters/postgres/enrollment.ts';
import { createHostReports } from '../../adapters/postgres/host-reports.ts';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { createLifecycleReader } from '../../adapters/postgres/rows.ts';
import type { TemporalClient } from '../../adapters/temporal/connection.ts';
import { createReportSignals } from '../../adapters/temporal/workflows.ts';
import { HEARTBEAT_INTERVAL_S } from '../../fleet/agent-wire.ts';
import { listen, stopServer } from '../../lib/http-listening.ts';
import type { Logger } from '../../lib/logger.ts';
import { createDeployments } from '../../operations/submit.ts';
import type { Guard } from '../auth.ts';
import { type ApiConfig, rolloutDefaults } from '../config.ts';
import type { SwarmApiPorts } from '../dependencies.ts';
import type { ApiEnv } from '../environment.ts';
import { DRAIN_MS, MAX_CONNECTIONS, type RunningServer, SERVER_LIMITS } from '../server.ts';
import { createSwarmApp } from './app.ts';
import { createBundles } from './bundles.ts';

const OWN_IDENTITIES_FOR_MS = 10_000;

interface SwarmParts {
  readonly sql: Sql;
  readonly temporal: TemporalClient;
  readonly logger: Logger;
}

/** What both listeners share. Throws AuthorityUnusable. */
export async function openSwarm(config: ApiConfig, { sql, temporal }: SwarmParts): Promise<SwarmApiPorts> {
  const authority = await openAuthority(config.DECKHAND_CA_DIR ?? join(config.DECKHAND_HOME, 'ca'));
  const agents = createAgentClient(() => authority.master(), { verifyHostname: config.DECKHAND_VERIFY_HOSTNAME });
  const [name] = controllerNames(config.DECKHAND_SWARM_HOST, config.DECKHAND_MASTER_HOST);
  const controller = { name, port: config.DECKHAND_SWARM_PORT };
  return {
    authority,
    agents,
    controller,
    hosts: createHostStore(sql),
    reports: createHostReports(sql),
    operations: createDeployments(sql, temporal, { taskQueue: config.DECKHAND_TASK_QUEUE }),
    lifecycle: createLifecycleReader(sql),
    rollout: rolloutDefaults(config),
    tokens: createEnrollmentTokens(sql),
    bundles: createBundles(sql, authority, controller),
    plainBundles: config.DECKHAND_PLAIN_BUNDLES,
  };
}

interface SwarmController {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startController(
  config: ApiConfig,
  ports: SwarmApiPorts,
  parts: SwarmParts & { readonly guard: Guard; readonly notReady: () => string | null; readonly metrics: ApiMetrics },
): Promise<SwarmController> {
  const names = controllerNames(config.DECKHAND_SWARM_HOST, config.DECKHAND_MASTER_HOST);
  const { logger, guard, notReady, metrics } = parts;
  const app = createSwarmApp({
    ...ports,
    logger,
    guard,
    notReady,
    metrics,
    audit: createAudit(parts.sql),
    enrollments: createEnrollments(parts.sql),
    signals: createReportSignals(parts.temporal.client),
    ownFingerprints: ownFingerprints(ports.authority, names),
  });
  const server = await startListener(app, {
    host: config.DECKHAND_SWARM_HOST,
    port: config.DECKHAND_SWARM_PORT,
    maxConnections: config.DECKHAND_MAX_CONNECTIONS,
    names,
    authority: ports.authority,
    logger,
  });
  ports.controller.port = server.port;
  const stopping = new AbortController();
  const watching = watchHosts({ ...parts, authority: ports.authority }, stopping.signal);
  return { port: server.port, stop: () => stopAll(server, ports.agents, stopping, watching) };
}

async function stopAll(
  server: RunningServer,
  agents: AgentClient,
  stopping: AbortController,
  watching: Promise<void>,
): Promise<void> {
  stopping.abort();
  await Promise.all([server.stop(), watching]);
  await agents.close();
}

/** A renewed identity counts within seconds, and files are not read for each request. */
function ownFingerprints(authority: Authority, names: readonly string[]): () => Promise<ReadonlySet<string>> {
  let known: { set: ReadonlySet<string>; until: number } | null = null;
  return async () => {
    if (known && performance.now() < known.until) return known.set;
    const [master, server] = await Promise.all([authority.master(), authority.server(names)]);
    known = {
      set: new Set([master.fingerprint, server.fingerprint]),
      until: performance.now() + OWN_IDENTITIES_FOR_MS,
    };
    return known.set;
  };
}

/**
 * The TLS listener of the swarm controller: asks for a certificate, and lets none in that is not of
 * our CA.
 */

/** Agents report every 30 s, on the connection that they have. */
const KEEP_ALIVE_MS = 90_000;
const RENEWAL_CHECK_MS = 24 * 60 * 60 * 1000;

interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Names and addresses under which hosts reach this master; the certificate carries them. */
  readonly names: readonly string[];
  readonly authority: Authority;
  readonly logger: Logger;
  readonly maxConnections?: number;
  /**
   * Of time, as the operators' listener has them; how long a connection may be idle is the agents'.
   */
  readonly limits?: Partial<Record<'headersMs' | 'requestMs' | 'handshakeMs' | 'checkMs', number>>;
  /** How often the certificate is checked; default daily. */
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

/** Checks daily whether the certificate is due. Connections that are open keep the old one. */
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

/** Names and addresses under which hosts can reach the swarm controller. */

const EVERYWHERE = ['0.0.0.0', '::'];

const outside = (): string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).filter((one) => !one.internal && one.family === 'IPv4').map((one) => one.address),
  );

/** The first is what a host is told to join; all of them stand in the certificate. */
export function controllerNames(listensOn: string, given: string | undefined): readonly [string, ...string[]] {
  const names = [...(given ? [given] : []), ...(EVERYWHERE.includes(listensOn) ? outside() : [listensOn])];
  return [names[0] ?? '127.0.0.1', ...names.slice(1)];
}

/** By the clock. */

/** Hosts that miss three heartbeats are `unreachable`. */
const UNREACHABLE_AFTER_MS = 3 * HEARTBEAT_INTERVAL_S * 1000;
const TURN_MS = 10_000;

interface WatchParts {
  readonly sql: Sql;
  readonly authority: Authority;
  readonly logger: Logger;
  readonly notReady: () => string | null;
}

/** Checks every ten seconds until `signal` is aborted; resolves then. */
export async function watchHosts({ sql, authority, logger, notReady }: WatchParts, signal: AbortSignal): Promise<void> {
  const hosts = createHostStore(sql);
  let pin: string | null = null;
  const turn = async (): Promise<void> => {
    for (const host of await hosts.silentSince(UNREACHABLE_AFTER_MS))
      logger.warn({ host: host.name, last_heartbeat: host.lastHeartbeat }, 'host is unreachable');
    const { fingerprint } = await authority.master();
    if (fingerprint === pin) return;
    if (await rememberMaster(sql, fingerprint))
      logger.info('the master’s certificate is new: all hosts are asked to renew');
    pin = fingerprint;
  };
  while (!signal.aborted) {
    if (notReady() === null)
      await turn().catch((error: unknown) => logger.warn({ err: error }, 'can’t tell which hosts are unreachable'));
    await pause(TURN_MS, undefined, { signal }).catch(() => undefined);
  }
}
