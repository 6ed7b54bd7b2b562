/** Puts the swarm controller together: adapters, listener, and what it sees to by time. */
import { join } from 'node:path';
import { type AgentClient, createAgentClient } from '../../adapters/agent/client.ts';
import type { ApiMetrics } from '../../adapters/metrics/metrics.ts';
import { type Authority, openAuthority } from '../../adapters/pki/authority.ts';
import { createAudit } from '../../adapters/postgres/audit.ts';
import type { Sql } from '../../adapters/postgres/connect.ts';
import { createEnrollmentTokens } from '../../adapters/postgres/enrollment-tokens.ts';
import { createEnrollments } from '../../adapters/postgres/enrollments.ts';
import { createHostReports } from '../../adapters/postgres/host-reports.ts';
import { createHostStore } from '../../adapters/postgres/hosts.ts';
import { createLifecycleReader } from '../../adapters/postgres/lifecycle.ts';
import type { TemporalClient } from '../../adapters/temporal/connection.ts';
import { createReportSignals } from '../../adapters/temporal/reports.ts';
import type { Logger } from '../../lib/logger.ts';
import { createDeployments } from '../../operations/deployments.ts';
import type { Guard } from '../auth/guard.ts';
import { type ApiConfig, rolloutDefaults } from '../config.ts';
import type { RunningServer } from '../server.ts';
import { createSwarmApp } from './app.ts';
import { createBundles } from './bundles.ts';
import { startListener } from './listener.ts';
import { controllerNames } from './names.ts';
import type { SwarmApiPorts } from './ports.ts';
import { watchHosts } from './watch.ts';

const OWN_IDENTITIES_FOR_MS = 10_000;

export interface SwarmParts {
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

export interface SwarmController {
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
