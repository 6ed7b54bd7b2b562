/** Keeps the Schedules of deckies with an interval of their own as they should be (docs/rotation.md); what Temporal lost is made again. */
import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleHandle,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { WORKFLOW_KIND } from '../../fleet/housekeeping.ts';
import { LONGEST_INTERVAL_MINUTES } from '../../fleet/interval.ts';
import type { RotationPlan } from '../postgres/rotation.ts';
import { ofKind } from './connection.ts';

export interface RotationSchedulesOptions {
  readonly taskQueue: string;
  readonly searchAttributes: boolean;
}

type OwnIntervals = Pick<RotationPlan, 'own'>;

/** While nothing changed, Temporal is asked only with every Nth look what it has: its list may be long. */
const LOOKS = 3;

/** Call it now and then: compares what is wanted with what Temporal has, when the plan changed and every third time. */
export function keepRotations(
  client: Client,
  readPlan: () => Promise<OwnIntervals>,
  options: RotationSchedulesOptions,
): () => Promise<void> {
  let known = '';
  let looks = 0;
  return async () => {
    const { own } = await readPlan();
    const now = JSON.stringify(own);
    if (now === known && ++looks < LOOKS) return;
    await ensureRotations(client, { own }, options);
    [known, looks] = [now, 0];
  };
}

interface Wanted {
  readonly everyMs: number;
  readonly workflowType: 'rotateDecky';
  readonly args: readonly unknown[];
}

const MINUTE_MS = 60_000;

/** `rotate/<decky>` of a task queue; `@` and `/` stand in no decky's name, so that none is the workflow for those that inherit. */
export const rotationScheduleId = (taskQueue: string, deckyName: string): string => `rotate/${deckyName}@${taskQueue}`;

/** Makes, changes and removes Schedules until they are what the plan says; one that somebody paused stays paused. */
export async function ensureRotations(
  client: Client,
  plan: OwnIntervals,
  options: RotationSchedulesOptions,
): Promise<void> {
  const wanted = wantedSchedules(plan, options);
  const isOurs = (id: string): boolean => id.startsWith('rotate/') && id.endsWith(`@${options.taskQueue}`);
  const missing = new Map(wanted);
  for await (const { scheduleId, spec } of client.schedule.list()) {
    if (!isOurs(scheduleId)) continue;
    const want = wanted.get(scheduleId);
    missing.delete(scheduleId);
    const handle = client.schedule.getHandle(scheduleId);
    if (!want) await unlessGone(handle.delete());
    else if (spec?.intervals?.[0]?.every !== want.everyMs) await unlessGone(change(handle, want));
  }
  for (const [scheduleId, want] of missing) await create(client, scheduleId, want, options);
}

function wantedSchedules({ own }: OwnIntervals, options: RotationSchedulesOptions): Map<string, Wanted> {
  const { taskQueue, searchAttributes } = options;
  const wanted = new Map<string, Wanted>();
  for (const { deckyName, minutes } of own)
    wanted.set(rotationScheduleId(taskQueue, deckyName), {
      everyMs: Math.min(minutes, LONGEST_INTERVAL_MINUTES) * MINUTE_MS,
      workflowType: 'rotateDecky',
      args: [{ deckyName, searchAttributes }],
    });
  return wanted;
}

/** The first action is one interval from now (Temporal counts in seconds), and not all deckies' at the same moment. */
const specOf = ({ everyMs }: Wanted) => ({
  intervals: [{ every: everyMs, offset: (Math.floor(Date.now() / 1_000) * 1_000) % everyMs }],
});

const change = (handle: ScheduleHandle, want: Wanted): Promise<void> =>
  handle.update((before) => ({ ...before, spec: specOf(want) }));

async function create(
  client: Client,
  scheduleId: string,
  want: Wanted,
  { taskQueue, searchAttributes }: RotationSchedulesOptions,
): Promise<void> {
  try {
    await client.schedule.create({
      scheduleId,
      spec: specOf(want),
      action: {
        type: 'startWorkflow',
        workflowType: want.workflowType,
        workflowId: scheduleId,
        taskQueue,
        args: [...want.args],
        ...(searchAttributes ? ofKind(WORKFLOW_KIND.housekeeping) : {}),
      },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1m' },
    });
  } catch (error) {
    // The list lags behind: another worker made it, or this one just now.
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}

async function unlessGone(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}
