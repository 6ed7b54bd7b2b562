/**
 * The API program: configuration → adapters → app → server. Stays up while PostgreSQL or Temporal
 * are away.
 */

import { createApiMetrics } from '../adapters/metrics/metrics.ts';
import { addDatabaseMetrics, addKeptMetrics } from '../adapters/metrics/scraped-metrics.ts';
import { createBus, probeBus } from '../adapters/nats/bus.ts';
import { createEventLog } from '../adapters/nats/event-log.ts';
import { createEventStream } from '../adapters/nats/event-stream.ts';
import { createAudit } from '../adapters/postgres/audit.ts';
import { createRotations } from '../adapters/postgres/clock-requests.ts';
import { openDatabase, type Sql } from '../adapters/postgres/connect.ts';
import { createDeploymentReader } from '../adapters/postgres/deployments.ts';
import { createDriftReader } from '../adapters/postgres/drift.ts';
import { createFleetReader } from '../adapters/postgres/fleet.ts';
import { createLifecycleReader } from '../adapters/postgres/rows.ts';
import { createSettings } from '../adapters/postgres/settings.ts';
import { readFigures } from '../adapters/postgres/upkeep.ts';
import { createTokens, createUsers } from '../adapters/postgres/users.ts';
import { openTemporal, type TemporalClient } from '../adapters/temporal/connection.ts';
import { createLook } from '../adapters/temporal/schedules.ts';
import { countClosed } from '../adapters/temporal/workflows.ts';
import { startTracing, tracedClient } from '../adapters/tracing/tracing.ts';
import { networkNameOf } from '../engine/engine.ts';
import { detectNetwork, type EngineAsked } from '../engine/host-networks.ts';
import { EnvironmentError, readEnvironment } from '../lib/environment.ts';
import { createLogger, type Logger } from '../lib/logger.ts';
import { createDeployments } from '../operations/submit.ts';
import { createApp } from './app.ts';
import { createAccessTokens, createGuard } from './auth.ts';
import { type ApiConfig, apiVariables, rolloutDefaults } from './config.ts';
import type { ApiDependencies } from './dependencies.ts';
import { ANSWER_DEADLINES } from './middleware.ts';
import { openOperatorTls, startServer } from './server.ts';
import { keptSecret, type Startup, startUp } from './startup.ts';
import { openSwarm, startController } from './swarm/controller.ts';

const TEARDOWN_WAIT_MS = 15_000;
/** Exit status for an environment that is not right, as for wrong usage of a command. */
const EXIT_USAGE = 2;

const probes = (sql: Sql, { connection, namespace }: TemporalClient): ApiDependencies['probes'] => ({
  postgres: () => sql`select 1`,
  temporal: () =>
    connection.withDeadline(Date.now() + 2_000, () => connection.workflowService.describeNamespace({ namespace })),
});

/** Null where deckies are simulated. */
function engineOf(config: ApiConfig): EngineAsked | null {
  if (config.DECKHAND_ENGINE === 'simulated') return null;
  const { DOCKER_HOST: dockerHost, DECKHAND_INSTANCE: instance, DECKHAND_PROJECT: project } = config;
  const networkName = networkNameOf({ instance: instance ?? '', project });
  return { dockerHost, owner: { ...(instance === undefined ? {} : { instance }), project, networkName } };
}

function dependencies(
  config: ApiConfig,
  parts: { logger: Logger; sql: Sql; temporal: TemporalClient; startup: Startup; secret: string },
): Omit<ApiDependencies, 'probes'> {
  const { logger, sql, temporal, startup, secret } = parts;
  return {
    logger,
    users: createUsers(sql),
    tokens: createTokens(sql),
    settings: createSettings(sql),
    fleet: createFleetReader(sql),
    drift: createDriftReader(sql),
    lookAtEngine: createLook(temporal, config.DECKHAND_TASK_QUEUE),
    rotations: createRotations(sql),
    lifecycle: createLifecycleReader(sql),
    deployments: createDeployments(sql, temporal, { taskQueue: config.DECKHAND_TASK_QUEUE }),
    deploymentReader: createDeploymentReader(sql),
    audit: createAudit(sql),
    simulated: config.DECKHAND_ENGINE === undefined ? null : config.DECKHAND_ENGINE === 'simulated',
    network: () => detectNetwork(config.DECKHAND_NETWORK, config.DECKHAND_BRIDGE_POOL ?? null, engineOf(config)),
    notReady: startup.missing,
    jwt: { secret, lifetimeMinutes: config.DECKHAND_JWT_EXP_MINUTES },
    limiterEnabled: config.DECKHAND_LIMITER_ENABLED,
    corsOrigins: config.DECKHAND_CORS_ORIGINS,
    rolloutDefaults: rolloutDefaults(config),
    deadlines: ANSWER_DEADLINES,
    teardownWaitMs: TEARDOWN_WAIT_MS,
  };
}

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Resolves with the name of the signal that asks the program to end. */
const asked = (): Promise<string> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });

async function run(config: ApiConfig, logger: Logger): Promise<void> {
  const end = asked();
  const tracing = await startTracing('api');
  const secret = config.DECKHAND_JWT_SECRET ?? (await keptSecret(config.DECKHAND_HOME));
  const sql = openDatabase(config.DATABASE_URL, { schema: config.DECKHAND_DB_SCHEMA, applicationName: 'deckhand-api' });
  const temporal = openTemporal(`deckhand-api-${process.pid}`, await tracedClient(tracing));
  const stopping = new AbortController();
  const startup = startUp(sql, config, logger, { signal: stopping.signal, print });
  const parts = { logger, sql, temporal };
  const ports = await openSwarm(config, parts);
  const log = createEventLog(config.NATS_URL, `deckhand-api-${process.pid}`);
  const events = createEventStream(log);
  const bus = createBus(config.NATS_URL, `deckhand-api-ready-${process.pid}`);
  const metrics = createApiMetrics({ process: true });
  addDatabaseMetrics(metrics.registry, () => readFigures(sql));
  addKeptMetrics(metrics.registry, { stream: log.size, closedWorkflows: () => countClosed(temporal.client) });
  const deps = {
    ...dependencies(config, { ...parts, startup, secret }),
    probes: { ...probes(sql, temporal), nats: () => probeBus(bus) },
    swarm: ports,
    metrics,
    events,
    stopping: stopping.signal,
  };
  const { DECKHAND_TLS_CERT: certFile, DECKHAND_TLS_KEY: keyFile } = config;
  const tls = certFile && keyFile ? openOperatorTls({ certFile, keyFile }, logger) : null;
  const app = createApp({ ...deps, overTls: tls !== null });
  const guard = createGuard(createAccessTokens(deps.jwt), deps.users);
  const swarm = await startController(config, ports, { ...parts, guard, notReady: startup.missing, metrics });
  logger.info({ host: config.DECKHAND_SWARM_HOST, port: swarm.port }, 'swarm controller listens');
  const { DECKHAND_API_HOST: host, DECKHAND_API_PORT: wanted, DECKHAND_MAX_CONNECTIONS: maxConnections } = config;
  const server = await startServer(app, { host, port: wanted, maxConnections, tls });
  if (!config.DECKHAND_LIMITER_ENABLED) logger.warn('DECKHAND_LIMITER_ENABLED=false: wrong passwords are not limited');
  logger.info({ tls: tls !== null, host, port: server.port }, 'api listens');
  logger.info({ signal: await end }, 'api stops');
  stopping.abort();
  await events.close('The master stops. Connect again to go on.');
  await Promise.all([server.stop(), swarm.stop()]);
  await startup.done;
  await Promise.allSettled([sql.end({ timeout: 5 }), bus.close(), temporal.connection.close(), tracing?.stop()]);
}

async function main(): Promise<void> {
  const logger = createLogger('deckhand-api');
  try {
    await run(readEnvironment(apiVariables), logger);
    process.exitCode = 0;
  } catch (error) {
    process.exitCode = error instanceof EnvironmentError ? EXIT_USAGE : 1;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  }
  // A connection attempt that hangs keeps the process alive; all that had to be finished has been.
  process.exit();
}

await main();
