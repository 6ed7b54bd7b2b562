/** The daily Schedule that prunes; made again when Temporal's database was lost. */
import { type Client, ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';

export const PRUNE_SCHEDULE_ID = 'prune';
/** At night where the machine's clock says UTC, and not on the hour, when everything else begins. */
const DAILY = { hour: 3, minute: 17 };

/** Makes the Schedule where it is missing; one that an operator changed or paused is left alone. */
export async function ensurePrune(client: Client, { taskQueue }: { taskQueue: string }): Promise<void> {
  const scheduleId = `${PRUNE_SCHEDULE_ID}/${taskQueue}`;
  try {
    await client.schedule.getHandle(scheduleId).describe();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    await createPrune(client, scheduleId, taskQueue);
  }
}

async function createPrune(client: Client, scheduleId: string, taskQueue: string): Promise<void> {
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
      },
      // A machine that was off at that time prunes when it is back.
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 day' },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
