/**
 * A master without its HTTP front, for the workflow room: real PostgreSQL, Temporal, NATS and Docker Engine, with a schema,
 * a task queue, a project and a bridge network of its own.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { createAgentClient } from '../../../adapters/agent/client.ts';
import { type Bus, createBus } from '../../../adapters/nats/bus.ts';
import { openAuthority } from '../../../adapters/pki/authority.ts';
import { createLifecycleReader } from '../../../adapters/postgres/rows.ts';
import { openTemporal, type TemporalClient } from '../../../adapters/temporal/connection.ts';
import type { ComposeEngine } from '../../../engine/engine.ts';
import { createLocalEngine, type LocalEngine } from '../../../engine/local-engine.ts';
import type { NetworkContext } from '../../../fleet/plan-deploy.ts';
import type { LifecycleRow } from '../../../fleet/rows.ts';
import { createLogger } from '../../../lib/logger.ts';
import {
  type AcceptedDeployment,
  createDeployments,
  type DeployInput,
  type Deployments,
} from '../../../operations/submit.ts';
import { workflowBundle } from '../../../worker/bundle.ts';
import { readWorkerConfig, type WorkerConfig } from '../../../worker/config.ts';
import { createWorkers } from '../../../worker/workers.ts';
import { createTestDatabase, type TestDatabase } from '../servers/database.ts';
import { testDirectory, testServers } from '../stack/stack.ts';
import { quietRuntime } from './quiet-runtime.ts';

/** Bridge pools of tests: away from the embedded stack's 10.200–10.219. */
let nextPool = Math.floor(Math.random() * 200);
function takePool(): string {
  // Of this run: removed with the servers.
  const taken = join(process.env.DECKHAND_TEST_TMP ?? testDirectory('pools'), 'pools');
  mkdirSync(taken, { recursive: true });
  for (let tries = 0; tries < 250; tries += 1) {
    const pool = nextPool++ % 250;
    try {
      // Lanes are processes of their own on one engine: whoever makes the folder has the pool.
      mkdirSync(join(taken, String(pool)));
      return `10.231.${pool}.0/24`;
    } catch {
      // Another lane has it.
    }
  }
  return `10.231.${nextPool++ % 250}.0/24`;
}

/** Terminates what is still under way, so that nothing works on when the world is gone. */
export async function endWorkflows({ database, temporal }: World): Promise<void> {
  const open = await database.sql<{ workflow_id: string }[]>`
    select workflow_id from deployments where ended_at is null union select workflow_id from decky_lifecycle where completed_at is null`;
  for (const { workflow_id: id } of open)
    await temporal.client.workflow
      .getHandle(id)
      .terminate('the test is over')
      .catch(() => undefined);
}

export interface World {
  readonly id: string;
  readonly database: TestDatabase;
  readonly temporal: TemporalClient;
  readonly deployments: Deployments;
  readonly local: LocalEngine;
  readonly config: WorkerConfig;
  readonly bus: Bus;
  readonly pool: string;
  deploy(
    ini: string,
    options?: Partial<Pick<DeployInput, 'options' | 'idempotency'>> & { replace?: boolean },
  ): Promise<AcceptedDeployment>;
  rows(ids: readonly string[]): Promise<LifecycleRow[]>;
  /** Waits until the rows ended and returns them. */
  ended(ids: readonly string[], timeoutMs?: number): Promise<LifecycleRow[]>;
  /** The environment of a worker process of its own on the same parts. */
  readonly environment: NodeJS.ProcessEnv;
  startWorker(): Promise<void>;
  stopWorker(): Promise<void>;
  close(): Promise<void>;
}

export async function createWorld(
  options: {
    worker?: boolean;
    natsUrl?: string;
    dockerHost?: string;
    simulated?: boolean;
    /** What the worker gets in the engine's place. */
    engine?: (engine: ComposeEngine) => ComposeEngine;
  } = {},
): Promise<World> {
  const id = `t${randomBytes(4).toString('hex')}`;
  process.env.TEMPORAL_ADDRESS = testServers.temporalAddress;
  const database = await createTestDatabase();
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    DATABASE_URL: database.url,
    DECKHAND_DB_SCHEMA: database.schema,
    NATS_URL: options.natsUrl ?? testServers.natsUrl,
    DOCKER_HOST: options.dockerHost ?? testServers.dockerHost ?? undefined,
    DECKHAND_ENGINE: testServers.dockerHost && !options.simulated ? 'docker' : 'simulated',
    DECKHAND_HOME: testDirectory(id),
    DECKHAND_INSTANCE: id,
    DECKHAND_PROJECT: id,
    DECKHAND_TASK_QUEUE: id,
  };
  const config = readWorkerConfig(environment);
  const logger = createLogger(id);
  const found = await createLocalEngine(config, logger);
  const local = { ...found, engine: options.engine?.(found.engine) ?? found.engine };
  const temporal = openTemporal(id);
  const bus = createBus(config.natsUrl, id);
  const deployments = createDeployments(database.sql, temporal, { taskQueue: id });
  const reader = createLifecycleReader(database.sql);
  const pool = takePool();
  const network: NetworkContext = {
    driver: 'bridge',
    host_ip: null,
    interfaces: ['lo', 'eth0'],
    detected: null,
    bridge_pool: pool,
  };
  let running: {
    workers: readonly Worker[];
    done: Promise<unknown>;
    connection: NativeConnection;
    close(): Promise<void>;
  } | null = null;

  const world: World = {
    id,
    database,
    temporal,
    deployments,
    local,
    config,
    bus,
    pool,
    environment,
    deploy: (ini, { replace = false, ...rest } = {}) =>
      deployments.deploy({
        username: 'admin',
        request: { ini_content: ini, replace_fleet: replace },
        options: { minHealthyTimeMs: 0 },
        network,
        idempotency: null,
        ...rest,
      }),
    rows: (ids) => reader.byIds(ids),
    ended: async (ids, timeoutMs = 90_000) => {
      await deployments.waitForRows(ids, timeoutMs);
      return reader.byIds(ids);
    },
    startWorker: async () => {
      // Only a worker ends the SDK's runtime, which keeps a process alive.
      quietRuntime();
      const connection = await NativeConnection.connect({ address: testServers.temporalAddress });
      const bundle = await workflowBundle(join(config.cache, 'bundles'));
      const agents = createAgentClient(async () => (await openAuthority(config.caDir)).master());
      const made = await createWorkers({
        connection,
        namespace: temporal.namespace,
        client: temporal.client,
        sql: database.sql,
        bus,
        local,
        bundle,
        taskQueue: id,
        searchAttributes: true,
        agents,
        reportGraceMs: config.reportGraceMs,
      });
      const close = async (): Promise<void> => {
        await made.close();
        await agents.close();
      };
      running = { workers: made.all, done: Promise.all(made.all.map((worker) => worker.run())), connection, close };
    },
    stopWorker: async () => {
      if (!running) return;
      const { workers, done, connection, close } = running;
      running = null;
      for (const worker of workers) worker.shutdown();
      await done;
      await close();
      await connection.close();
    },
    close: async () => {
      await world.stopWorker();
      // One that fails leaves none of the others open, which would keep the whole process alive.
      const ends = await Promise.allSettled([
        options.dockerHost ? null : local.engine.purge(),
        bus.close(),
        temporal.connection.close(),
        database.drop(),
      ]);
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    },
  };
  if (options.worker !== false) await world.startWorker();
  return world;
}
