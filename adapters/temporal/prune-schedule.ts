/** The daily Schedule that prunes; made again when Temporal's database was lost. */
import { type Client, ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import { WORKFLOW_KIND } from '../../fleet/housekeeping.ts';
import { ofKind } from './connection.ts';

export const PRUNE_SCHEDULE_ID = 'prune';
/** At night where the machine's clock says UTC, and not on the hour, when everything else begins. */
const DAILY = { hour: 3, minute: 17 };

export interface PruneOptions {
  readonly taskQueue: string;
  readonly searchAttributes: boolean;
}

/** Makes the Schedule where it is missing; one that an operator changed or paused is left alone. */
export async function ensurePrune(client: Client, options: PruneOptions): Promise<void> {
  const { taskQueue } = options;
  const scheduleId = `${PRUNE_SCHEDULE_ID}/${taskQueue}`;
  try {
    await client.schedule.getHandle(scheduleId).describe();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    await createPrune(client, scheduleId, options);
  }
}

async function createPrune(
  client: Client,
  scheduleId: string,
  { taskQueue, searchAttributes }: PruneOptions,
): Promise<void> {
  try {
    await client.schedule.create({
      scheduleId,
      spec: { calendars: [{ ...DAILY, comment: 'daily, UTC' }] },
      action: {
        type: 'startWorkflow',
        workflowType: 'prune',
        workflowId: scheduleId,
        taskQueue,
        args: [],
        workflowExecutionTimeout: '6h',
        ...(searchAttributes ? ofKind(WORKFLOW_KIND.housekeeping) : {}),
      },
      // A machine that was off at that time prunes when it is back.
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 day' },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
