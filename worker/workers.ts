/** The Temporal workers of this program: workflows with the databases' activities, the engine's activities, and talks with agents. */
import { hostname } from 'node:os';
import { log } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { type NativeConnection, Worker, type WorkerInterceptors, type WorkflowBundle } from '@temporalio/worker';
import { createAgentActivities } from '../activities/agents.ts';
import { createComposeActivities } from '../activities/compose.ts';
import { createLookActivities, createReconcileActivities } from '../activities/convergence.ts';
import { createDeploymentActivities } from '../activities/deployments.ts';
import {
  createClockActivities,
  createEventActivities,
  createPruneActivities,
  createRotationActivities,
  createSweepActivities,
} from '../activities/housekeeping.ts';
import { ProgressNotes } from '../activities/progress-notes.ts';
import { type AgentClient, ticketedClient } from '../adapters/agent/client.ts';
import type { WorkerMetrics } from '../adapters/metrics/metrics.ts';
import type { Bus } from '../adapters/nats/bus.ts';
import { createReconcileStore, createRotationStore } from '../adapters/postgres/clock-requests.ts';
import { LONG_BOUNDS, openBeside, reachable, type Sql } from '../adapters/postgres/connect.ts';
import { readOperationTimes } from '../adapters/postgres/deployments.ts';
import { createConvergenceStore } from '../adapters/postgres/drift.ts';
import { readHostWork } from '../adapters/postgres/fleet.ts';
import { createHostStore } from '../adapters/postgres/hosts.ts';
import { drainOutbox } from '../adapters/postgres/outbox.ts';
import { forgetPendingTeardown } from '../adapters/postgres/pending-work.ts';
import { redrawTickets, ticketOf } from '../adapters/postgres/tickets.ts';
import { createPrunables } from '../adapters/postgres/upkeep.ts';
import { restartOperation, signalTrouble, signalTurn, workflowState } from '../adapters/temporal/workflows.ts';
import type { TracedWorker } from '../adapters/tracing/tracing.ts';
import type { LocalEngine } from '../engine/local-engine.ts';
import { agentTaskQueue, composeTaskQueue } from '../fleet/housekeeping.ts';
import { createPendingTeardowns } from '../operations/pending-teardowns.ts';
import { createOperationStore } from '../operations/store.ts';
import { createSweep } from '../operations/sweep.ts';
import { identifiedLogs } from './logging.ts';
import { measuredAgents, measuredDrain, measuredPrunables, measuredStore } from './metrics.ts';
import { loggedDrain, OutboxRelay, type SendLog } from './outbox-relay.ts';

export interface WorkerParts {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly client: Client;
  readonly sql: Sql;
  readonly bus: Bus;
  readonly local: LocalEngine;
  readonly bundle: WorkflowBundle | { codePath: string };
  readonly taskQueue: string;
  readonly searchAttributes: boolean;
  readonly agents: AgentClient;
  readonly reportGraceMs: number;
  /** Absent: nothing is traced. */
  readonly tracing?: TracedWorker;
  /** Absent: nothing is measured. */
  readonly metrics?: WorkerMetrics;
  /** Absent: nobody is told why events are not sent. */
  readonly sendLog?: SendLog;
}

export interface Workers {
  readonly all: readonly Worker[];
  /** Call it once they have stopped. */
  close(): Promise<void>;
}

/** The longest polite stop: an engine call that is under way may finish, then its activity is given back. */
const GRACE = '10s';
const FORCE = '25s';
/** Twelve deckies on their way up, and as many being watched or cleaned up, of several deployments. */
const ENGINE_SLOTS = 200;
/** A silent host holds a slot for up to 20 s at a time; it must not be the one that another host waits for. */
const AGENT_SLOTS = 600;

export async function createWorkers(parts: WorkerParts): Promise<Workers> {
  const { connection, namespace, client, sql, taskQueue } = parts;
  // What waits for the bus, or takes long, has a connection of its own: everything else shares the pool.
  const outbox = openBeside(sql, { max: 1 });
  const upkeep = openBeside(sql, { max: 1, bounds: LONG_BOUNDS });
  const { store, drain, prunables, agentClient } = measuredParts(parts, { outbox, upkeep });
  const relay = new OutboxRelay(parts.sendLog ? loggedDrain(drain, parts.sendLog) : drain);
  const rotations = createRotationStore(sql);
  const reconciles = createReconcileStore(sql);
  const tellTurn = (ticket: { workflowId: string; hostUuid: string }): Promise<void> => signalTurn(client, ticket);
  const interceptors: WorkerInterceptors = {
    activity: [identifiedLogs, ...(parts.tracing?.interceptors.activity ?? [])],
  };
  const common = {
    connection,
    namespace,
    identity: `${hostname()}/deckhand/${process.pid}`,
    shutdownGraceTime: GRACE,
    shutdownForceTime: FORCE,
    ...parts.tracing,
    interceptors,
  } as const;
  const fleet = await Worker.create({
    ...common,
    taskQueue,
    workflowBundle: parts.bundle,
    stickyQueueScheduleToStartTimeout: '5s',
    activities: {
      ...createDeploymentActivities(store, tellTurn, relay.notify),
      ...createEventActivities(relay.flush),
      ...createPruneActivities(prunables),
      ...createRotationActivities(rotations),
      ...createReconcileActivities(reconciles),
      ...createClockActivities({
        inheritedMinutes: async () => (await rotations.plan()).inherited,
        reconcileMs: reconciles.interval,
      }),
      ...createSweepActivities(
        createSweep({
          store,
          workflowState: (workflowId) => workflowState(client, workflowId),
          restart: (operation) =>
            restartOperation(client, operation, { taskQueue, searchAttributes: parts.searchAttributes }),
          signalTurn: tellTurn,
          pending: createPendingTeardowns(sql),
          begin: (operation) =>
            restartOperation(client, operation, {
              taskQueue,
              searchAttributes: parts.searchAttributes,
              summary: 'pending teardowns of a host that is back',
            }),
        }),
      ),
    },
  });
  const compose = await Worker.create({
    ...common,
    taskQueue: composeTaskQueue(taskQueue),
    maxConcurrentActivityTaskExecutions: ENGINE_SLOTS,
    activities: {
      ...createComposeActivities({
        ...parts.local,
        store,
        notes: new ProgressNotes(store.noteSteps),
        tellTrouble: (workflowId, text) => signalTrouble(client, workflowId, text),
      }),
      ...createLookActivities({ ...parts.local, store: createConvergenceStore(sql) }),
    },
  });
  const agents = await Worker.create({
    ...common,
    taskQueue: agentTaskQueue(taskQueue),
    maxConcurrentActivityTaskExecutions: AGENT_SLOTS,
    activities: {
      ...createAgentActivities({
        store: {
          record: store.record,
          noteSteps: store.noteSteps,
          hostWork: (input) => reachable(() => readHostWork(sql, input)),
          forgetPendingTeardown: (hostUuid, deckyName) =>
            reachable(() => forgetPendingTeardown(sql, hostUuid, deckyName)),
        },
        hosts: createHostStore(sql),
        client: ticketedClient(agentClient, {
          of: (hostUuid, operationId) => reachable(() => ticketOf(sql, hostUuid, operationId)),
          redraw: (given) => reachable(() => redrawTickets(sql, given)),
          warn: (sentence, facts) => log.warn(sentence, { ...facts }),
        }),
        cutSecrets: parts.local.cutSecrets,
        notify: relay.notify,
        reportGraceMs: parts.reportGraceMs,
      }),
    },
  });
  const close = async (): Promise<void> => {
    await relay.stop();
    await Promise.all([outbox.end({ timeout: 2 }), upkeep.end({ timeout: 2 })]);
  };
  return { all: [fleet, compose, agents], close };
}

/** What activities work with, measured where somebody wants to know. */
function measuredParts({ sql, bus, agents, metrics }: WorkerParts, { outbox, upkeep }: { outbox: Sql; upkeep: Sql }) {
  const store = createOperationStore(sql);
  const drain = (signal: AbortSignal): Promise<number> => reachable(() => drainOutbox(outbox, bus.publish, signal));
  const prunables = createPrunables(upkeep);
  if (!metrics) return { store, drain, prunables, agentClient: agents };
  return {
    store: measuredStore(store, metrics, (operationId) => readOperationTimes(sql, operationId)),
    drain: measuredDrain(drain, metrics),
    prunables: measuredPrunables(prunables, metrics),
    agentClient: measuredAgents(agents, metrics),
  };
}
