/** Keeps the workflow running that does the product's own rounds; started again where Temporal lost it. */
import { type Client, ScheduleNotFoundError } from '@temporalio/client';
import {
  type HousekeepingInput,
  housekeepingWorkflowId,
  reconcileWorkflowId,
  rotateWorkflowId,
  WORKFLOW_KIND,
} from '../../fleet/housekeeping.ts';
import { ofKind } from './connection.ts';

export interface HousekeepingOptions {
  readonly taskQueue: string;
  readonly searchAttributes: boolean;
  readonly input: Omit<HousekeepingInput, 'searchAttributes' | 'taskQueue'>;
  /** True at a worker's start: its code and settings hold, and all is done at once. */
  readonly anew: boolean;
}

export async function ensureHousekeeping(client: Client, options: HousekeepingOptions): Promise<void> {
  const { taskQueue, searchAttributes, input, anew } = options;
  if (anew) for (const id of oldSchedules(taskQueue)) await removeSchedule(client, id);
  await client.workflow.start('housekeeping', {
    workflowId: housekeepingWorkflowId(taskQueue),
    taskQueue,
    args: [{ ...input, searchAttributes, taskQueue }],
    // A run that an earlier version began may not go on with this code: rounds are safe to break off and to repeat.
    workflowIdConflictPolicy: anew ? 'TERMINATE_EXISTING' : 'USE_EXISTING',
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    staticSummary: 'sweeps, looks at the engine, and what comes by the clock',
    ...(searchAttributes ? ofKind(WORKFLOW_KIND.housekeeping) : {}),
  });
}

/** Earlier versions had a Schedule for each, which made a closed workflow each time, with work or without. */
const oldSchedules = (taskQueue: string): string[] => [
  `sweep/${taskQueue}`,
  `look/${taskQueue}`,
  rotateWorkflowId(taskQueue),
  reconcileWorkflowId(taskQueue),
];

async function removeSchedule(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(id).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}
