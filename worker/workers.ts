/** The two Temporal workers of this program: workflows with the databases' activities, and the engine's activities. */
import { hostname } from 'node:os';
import type { Client } from '@temporalio/client';
import { type NativeConnection, Worker, type WorkflowBundle } from '@temporalio/worker';
import { createComposeActivities } from '../activities/compose.ts';
import { createDeploymentActivities } from '../activities/deployments.ts';
import { createEventActivities } from '../activities/events.ts';
import { ProgressNotes } from '../activities/progress-notes.ts';
import { createSweepActivities } from '../activities/sweep.ts';
import type { LocalEngine } from '../adapters/local-engine.ts';
import type { Bus } from '../adapters/nats/bus.ts';
import type { Sql } from '../adapters/postgres/connect.ts';
import { createOperationStore } from '../adapters/postgres/operation-store.ts';
import { drainOutbox } from '../adapters/postgres/outbox.ts';
import { restartOperation, signalTurn, workflowState } from '../adapters/temporal/operations.ts';
import { composeTaskQueue } from '../fleet/task-queues.ts';

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
}

/** The longest polite stop: an engine call that is under way may finish, then its activity is given back. */
const GRACE = '10s';
const FORCE = '25s';
/** Twelve deckies on their way up, and as many being watched or cleaned up, of several deployments. */
const ENGINE_SLOTS = 200;

export async function createWorkers(parts: WorkerParts): Promise<{ fleet: Worker; compose: Worker }> {
  const { connection, namespace, client, sql, taskQueue } = parts;
  const store = createOperationStore(sql);
  const tellTurn = (ticket: { workflowId: string; hostUuid: string }): Promise<void> => signalTurn(client, ticket);
  const common = {
    connection,
    namespace,
    identity: `${hostname()}/deckhand/${process.pid}`,
    shutdownGraceTime: GRACE,
    shutdownForceTime: FORCE,
  } as const;
  const fleet = await Worker.create({
    ...common,
    taskQueue,
    workflowBundle: parts.bundle,
    stickyQueueScheduleToStartTimeout: '5s',
    activities: {
      ...createDeploymentActivities(store, tellTurn),
      ...createEventActivities((signal) => drainOutbox(sql, parts.bus.publish, signal)),
      ...createSweepActivities({
        store,
        workflowState: (workflowId) => workflowState(client, workflowId),
        restart: (operation) =>
          restartOperation(client, operation, { taskQueue, searchAttributes: parts.searchAttributes }),
        signalTurn: tellTurn,
      }),
    },
  });
  const compose = await Worker.create({
    ...common,
    taskQueue: composeTaskQueue(taskQueue),
    maxConcurrentActivityTaskExecutions: ENGINE_SLOTS,
    activities: { ...createComposeActivities({ ...parts.local, store, notes: new ProgressNotes(store.noteSteps) }) },
  });
  return { fleet, compose };
}
