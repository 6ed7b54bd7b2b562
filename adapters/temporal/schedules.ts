/** The Schedules that every installation has; made again when Temporal's database was lost. */
import { type Client, ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';

export const SWEEP_SCHEDULE_ID = 'sweep';

/** Makes the sweep's Schedule where it is missing (each minute, overlap SKIP); with `now`, has it run at once too. */
export async function ensureSweep(client: Client, options: { taskQueue: string; now: boolean }): Promise<void> {
  const scheduleId = `${SWEEP_SCHEDULE_ID}/${options.taskQueue}`;
  const handle = client.schedule.getHandle(scheduleId);
  try {
    if (options.now) await handle.trigger(ScheduleOverlapPolicy.SKIP);
    else await handle.describe();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    await createSweep(client, scheduleId, options.taskQueue);
  }
}

async function createSweep(client: Client, scheduleId: string, taskQueue: string): Promise<void> {
  try {
    await client.schedule.create({
      scheduleId,
      spec: { intervals: [{ every: '1m' }] },
      action: {
        type: 'startWorkflow',
        workflowType: 'sweep',
        workflowId: scheduleId,
        taskQueue,
        args: [],
        workflowExecutionTimeout: '5m',
      },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1m' },
      state: { triggerImmediately: true },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
