/** The worker: configuration → adapters → activities → run. Drains on SIGTERM. */
import './heap.ts';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import { createAgentClient } from '../adapters/agent/client.ts';
import { createBus } from '../adapters/nats/bus.ts';
import { openAuthority } from '../adapters/pki/authority.ts';
import { createRotationStore } from '../adapters/postgres/clock-requests.ts';
import { openDatabase } from '../adapters/postgres/connect.ts';
import { migrate } from '../adapters/postgres/migrate.ts';
import { hasSearchAttributes, openTemporal } from '../adapters/temporal/connection.ts';
import { ensureHousekeeping, ensurePrune, keepRotations } from '../adapters/temporal/schedules.ts';
import { startTracing, tracedClient, tracedWorker, workflowInterceptorModule } from '../adapters/tracing/tracing.ts';
import { createLocalEngine } from '../engine/local-engine.ts';
import { EnvironmentError } from '../lib/environment.ts';
import { createLogger, type Logger } from '../lib/logger.ts';
import { workflowBundle } from './bundle.ts';
import { readWorkerConfig } from './config.ts';
import { installRuntime } from './logging.ts';
import { openMetrics } from './metrics.ts';
import { SendLog } from './outbox-relay.ts';
import { createWorkers } from './workers.ts';

/** Temporal's database may be lost while the worker lives; housekeeping and Schedules are looked after this often. */
const SCHEDULE_CHECK_MS = 20_000;
const RETRY_MS = 1_000;

/** Tries until it works or the program is told to stop: servers may come up after the worker. */
async function persist<T>(what: string, logger: Logger, stopping: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      logger.warn({ err: error }, `${what} does not answer; trying again`);
      await sleep(RETRY_MS, undefined, { signal: stopping });
    }
  }
}

async function main(): Promise<void> {
  const config = readWorkerConfig();
  const logger = createLogger('worker');
  const measured = await openMetrics(config.metrics, logger);
  installRuntime(logger, measured?.sdkAddress);
  const tracing = await startTracing('worker');
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());

  const sql = openDatabase(config.databaseUrl, { schema: config.schema, applicationName: 'deckhand-worker' });
  const bus = createBus(config.natsUrl, 'deckhand-worker', { notice: toldOnce(logger) });
  const sendLog = new SendLog(logger);
  // Not awaited: a bus that is away delays nothing. It is asked so that the log has the reason before the first event.
  void bus.ping().catch((error: unknown) => sendLog.failed(error));
  const [bundle, local] = await Promise.all([
    workflowBundle(join(config.cache, 'bundles'), tracing ? [workflowInterceptorModule()] : []),
    createLocalEngine(config, logger),
    persist('PostgreSQL', logger, stop.signal, () => migrate(sql, config.schema)),
  ]);
  const { connectionOptions } = loadClientConnectConfig();
  const connection = await persist('Temporal', logger, stop.signal, () => NativeConnection.connect(connectionOptions));
  const temporal = openTemporal(`deckhand-worker/${process.pid}`, await tracedClient(tracing));
  const searchAttributes = await persist('Temporal', logger, stop.signal, () => hasSearchAttributes(temporal));
  const agents = createAgentClient(async () => (await openAuthority(config.caDir)).master(), {
    verifyHostname: config.verifyHostname,
  });
  const workers = await createWorkers({
    connection,
    namespace: temporal.namespace,
    client: temporal.client,
    sql,
    bus,
    local,
    bundle,
    taskQueue: config.taskQueue,
    searchAttributes,
    agents,
    reportGraceMs: config.reportGraceMs,
    sendLog,
    ...(tracing ? { tracing: await tracedWorker(tracing) } : {}),
    ...(measured ? { metrics: measured.metrics } : {}),
  });
  const runs = workers.all.map((worker) => worker.run());
  logger.info(
    { taskQueue: config.taskQueue, engine: config.engine, project: config.project, instance: config.instance },
    'worker ready',
  );
  const rotations = keepRotations(temporal.client, createRotationStore(sql).plan, {
    taskQueue: config.taskQueue,
    searchAttributes,
  });
  const schedules = lookAfterSchedules(logger, stop.signal, async (now) => {
    const { taskQueue, lookMs } = config;
    await ensureHousekeeping(temporal.client, { taskQueue, searchAttributes, input: { lookMs }, anew: now });
    await ensurePrune(temporal.client, { taskQueue, searchAttributes });
    await rotations();
  });
  stop.signal.addEventListener('abort', () => {
    logger.info('draining');
    for (const worker of workers.all) worker.shutdown();
  });
  await Promise.all(runs);
  await schedules;
  await workers.close();
  await Promise.allSettled([
    measured?.stop(),
    tracing?.stop(),
    agents.close(),
    bus.close(),
    sql.end({ timeout: 2 }),
    connection.close(),
    temporal.connection.close(),
  ]);
  logger.info('stopped');
}

/** The bus says it with each connection. */
function toldOnce(logger: Logger): (sentence: string) => void {
  let told = '';
  return (sentence) => {
    if (sentence !== told) logger.warn(sentence);
    told = sentence;
  };
}

/** `now` is true until it has worked once: what is due at the start. Makes again what Temporal has lost. */
async function lookAfterSchedules(
  logger: Logger,
  stopping: AbortSignal,
  ensure: (now: boolean) => Promise<void>,
): Promise<void> {
  let swept = false;
  while (!stopping.aborted) {
    try {
      await ensure(!swept);
      swept = true;
    } catch (error) {
      logger.warn({ err: error }, 'the Schedules can’t be looked after; trying again');
    }
    await sleep(swept ? SCHEDULE_CHECK_MS : RETRY_MS, undefined, { signal: stopping }).catch(() => undefined);
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    if (error instanceof EnvironmentError) process.stderr.write(`${error.message}\n`);
    else createLogger('worker').fatal({ err: error }, 'the worker can’t go on');
    process.exit(error instanceof EnvironmentError ? 2 : 1);
  },
);
