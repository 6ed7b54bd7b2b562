/** The Schedule that mends (docs/convergence.md), made again when Temporal lost it, and changed with the interval; and looks on demand. */
import {
  type Client,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleOptions,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { WORKFLOW_KIND } from '../../fleet/housekeeping.ts';
import { ofKind } from './connection.ts';

export interface ConvergenceOptions {
  readonly taskQueue: string;
  readonly searchAttributes: boolean;
  /** Milliseconds; null: nothing is mended by the clock. */
  readonly reconcileMs: number | null;
}

export const reconcileScheduleId = (taskQueue: string): string => `reconcile/${taskQueue}`;

/** One that somebody paused stays paused. */
export async function ensureConvergence(client: Client, options: ConvergenceOptions): Promise<void> {
  const { taskQueue, searchAttributes, reconcileMs } = options;
  if (reconcileMs === null) return remove(client, reconcileScheduleId(taskQueue));
  await ensure(client, {
    id: reconcileScheduleId(taskQueue),
    everyMs: reconcileMs,
    action: {
      workflowType: 'reconcileFleet',
      args: [{ searchAttributes }],
      ...(searchAttributes ? ofKind(WORKFLOW_KIND.housekeeping) : {}),
    },
    taskQueue,
  });
}

interface Wanted {
  readonly id: string;
  readonly everyMs: number;
  readonly action: Pick<ScheduleOptions['action'], 'workflowType' | 'args' | 'typedSearchAttributes'>;
  readonly taskQueue: string;
}

async function ensure(client: Client, { id, everyMs, action, taskQueue }: Wanted): Promise<void> {
  const handle = client.schedule.getHandle(id);
  const spec = { intervals: [{ every: everyMs }] };
  try {
    if ((await handle.describe()).spec.intervals?.[0]?.every !== everyMs)
      await handle.update((before) => ({ ...before, spec }));
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    await client.schedule
      .create({
        scheduleId: id,
        spec,
        action: { type: 'startWorkflow', workflowId: id, taskQueue, ...action },
        policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1m' },
      })
      .catch((failure: unknown) => {
        if (!(failure instanceof ScheduleAlreadyRunning)) throw failure;
      });
  }
}

async function remove(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(id).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

/** Within the time in which the API answers. */
const LOOK_LIMIT_MS = 6_000;

/** Has the engine looked at now. Never throws: without an answer what is known stands, and says since when. */
export const createLook = (client: Client, taskQueue: string) => async (): Promise<void> => {
  const options = { workflowId: `look/${taskQueue}/now`, taskQueue, args: [] };
  await Promise.race([
    client
      .withDeadline(Date.now() + LOOK_LIMIT_MS, () =>
        client.workflow.execute('lookAtEngine', {
          ...options,
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowExecutionTimeout: '2m',
        }),
      )
      .catch(() => undefined),
    new Promise((resolve) => setTimeout(resolve, LOOK_LIMIT_MS).unref()),
  ]);
};
