/** The running agent: its parts, put together, how they begin and end, and what is counted of them. */
import { join } from 'node:path';
import { type MetricsAddress, serveMetricsIfAsked } from '../adapters/metrics/listener.ts';
import { type AgentMetrics, createAgentMetrics } from '../adapters/metrics/metrics.ts';
import { composeFilePath } from '../engine/compose-file.ts';
import { createLocalEngine } from '../engine/local-engine.ts';
import { LIMITS } from '../fleet/limits.ts';
import { Semaphore } from '../lib/concurrency.ts';
import { removeLeftovers } from '../lib/files.ts';
import type { Logger } from '../lib/logger.ts';
import { type AgentServer, createApp, startServer } from './api.ts';
import { teardownOrder } from './bodies.ts';
import type { AgentConfig } from './config.ts';
import type { AgentContext } from './context.ts';
import { loadIdentity } from './identity.ts';
import { Renewal } from './joining.ts';
import { createMasterClient, type MasterClient, trustOf } from './master-client.ts';
import { ownNetwork } from './network.ts';
import { WorkQueue } from './queue.ts';
import { agentStatus, Reporter } from './reporter.ts';
import { AgentStore, type OrderRecord } from './state.ts';

export interface RunningAgent {
  readonly port: number;
  /** The order that is worked on, for the last words of a program that ends by an error. */
  readonly working: () => OrderRecord | null;
  stop(): Promise<void>;
}

async function openContext(config: AgentConfig, logger: Logger, reported: () => void): Promise<AgentContext> {
  const { engine } = config;
  const folder = engine.engine === 'simulated' ? 'simulated' : 'compose';
  const [local, store] = await Promise.all([
    createLocalEngine(engine, logger),
    AgentStore.open(config.stateDirectory, logger),
  ]);
  return {
    local,
    store,
    logger,
    composePath: composeFilePath(join(engine.home, folder), engine),
    window: new Semaphore(LIMITS.localParallel),
    steps: new Map(),
    network: (ipvlan) => ownNetwork(config, ipvlan),
    reported,
  };
}

/** Throws IdentityError where this host has not joined. `leave` ends the program, after a self-destruct. */
export async function startAgent(config: AgentConfig, log: Logger, leave: () => void): Promise<RunningAgent> {
  let identity = await loadIdentity(config.directory);
  const logger = log.child({ host: identity.facts.host_uuid });
  let client = createMasterClient(trustOf(identity));
  const context = await openContext(config, logger, () => reporter.wake());
  const measured = measure(context, config.metrics);
  const queue = new WorkQueue(context);
  const status = () => agentStatus({ context, working: () => queue.working });
  let server: AgentServer | null = null;
  const renewal = new Renewal({
    directory: config.directory,
    identity: () => identity,
    client: () => client,
    adopt: (renewed) => {
      identity = renewed;
      const old = client;
      client = createMasterClient(trustOf(renewed));
      server?.renew(renewed);
      old.close();
    },
    logger,
  });
  const reporter = new Reporter({
    hostUuid: identity.facts.host_uuid,
    heartbeatMs: config.heartbeatMs,
    store: context.store,
    client: () => measured.counted(client),
    status,
    renew: renewal.request,
    logger,
  });
  const app = createApp({
    logger,
    masterFingerprint: () => identity.facts.master_fingerprint,
    status,
    deckyNames: () => deckyNames(context),
    accept: (order) => queue.accept(order),
    finish: (order) => queue.finish(order),
    selfDestruct: () => void selfDestruct(queue, logger).then(leave),
  });
  // Whoever has the port has the state: a second agent of the same host ends here, before it touches anything.
  server = await startServer(app, { host: config.host, port: config.port ?? identity.facts.agent_port }, identity);
  await tidyFiles(config, logger);
  await measured.serve();
  queue.start();
  reporter.start();
  renewal.start();
  const running = server;
  return {
    port: server.port,
    working: () => queue.working,
    async stop() {
      await running.stop();
      await queue.stop();
      await Promise.all([reporter.stop(), renewal.stop()]);
      client.close();
      await measured.stop();
    },
  };
}

/** A directory that can't be read is no reason not to start. */
async function tidyFiles({ directory, stateDirectory }: AgentConfig, logger: Logger): Promise<void> {
  const folders = ['compose', 'simulated'].map((name) => join(stateDirectory, name));
  try {
    const files = await removeLeftovers([directory, stateDirectory, ...folders]);
    if (files.length > 0) logger.info({ files }, 'removed files that were left half-written');
  } catch (error) {
    logger.warn({ err: error }, 'could not remove files that were left half-written');
  }
}

function deckyNames({ store }: AgentContext): readonly string[] | null {
  const names = Object.entries(store.state.deckies).flatMap(([name, { desired }]) => (desired ? [name] : []));
  return names.length === 0 ? null : names;
}

/** Its own containers and network, nothing else: not its files, and nothing of others on the same engine. */
async function selfDestruct(queue: WorkQueue, logger: Logger): Promise<void> {
  logger.warn('self-destruct: the containers of this agent go, then it stops');
  try {
    await queue.finishAlone(teardownOrder({ decky_id: null }, new Date()));
  } catch (error) {
    logger.error({ err: error }, 'self-destruct: something was left');
  }
}

// Metrics

interface Measured {
  /** The client, with the master's answers counted. */
  counted(client: MasterClient): MasterClient;
  /** Call it once the agent has its port. */
  serve(): Promise<void>;
  stop(): Promise<void>;
}

function measure({ store, logger }: AgentContext, address: MetricsAddress | null): Measured {
  const metrics = createAgentMetrics({ process: address !== null });
  metrics.watch(() => {
    const { outbox, orders, deckies } = store.state;
    const wanted = Object.values(deckies).filter(({ desired }) => desired !== null);
    return { unacknowledged: outbox.length, orders: orders.length, deckies: wanted.length };
  });
  let listener: Awaited<ReturnType<typeof serveMetricsIfAsked>> = null;
  return {
    counted: (client) => countAnswers(client, metrics),
    async serve() {
      listener = await serveMetricsIfAsked(metrics.registry, address, logger);
    },
    stop: async () => listener?.stop(),
  };
}

const countAnswers = (client: MasterClient, metrics: AgentMetrics): MasterClient => ({
  async post(path, body) {
    try {
      const answer = await client.post(path, body);
      metrics.reported(answer.status);
      return answer;
    } catch (error) {
      metrics.reported(null);
      throw error;
    }
  },
  close: () => client.close(),
});
