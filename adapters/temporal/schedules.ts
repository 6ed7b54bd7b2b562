/**
 * What the product does by the clock, and Temporal keeps.
 *
 * 1. {@link ensureHousekeeping}: the workflow of the rounds, started again where Temporal lost it.
 * 2. {@link createLook}: a look at the master's own engine on demand.
 * 3. {@link ensurePrune}: the daily Schedule that prunes.
 * 4. {@link keepRotations}: a Schedule for each decky with an interval of its own.
 */
import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleHandle,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { LONGEST_INTERVAL_MINUTES } from '../../fleet/durations.ts';
import {
  type HousekeepingInput,
  housekeepingWorkflowId,
  reconcileWorkflowId,
  rotateWorkflowId,
  WORKFLOW_KIND,
} from '../../fleet/housekeeping.ts';
import type { RotationPlan } from '../postgres/clock-requests.ts';
import { hasSearchAttributes, ofKind, type TemporalClient } from './connection.ts';

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

/** Looks at the master's own engine on demand (docs/convergence.md). */

/** Within the time in which the API answers. */
const LOOK_LIMIT_MS = 6_000;

/** Has the engine looked at now. Never throws: without an answer what is known stands, and says since when. */
export function createLook(temporal: TemporalClient, taskQueue: string): () => Promise<void> {
  const { client } = temporal;

  async function look(): Promise<void> {
    const searchAttributes = await hasSearchAttributes(temporal);
    await client.workflow.execute('lookAtEngine', {
      workflowId: `look/${taskQueue}/now`,
      taskQueue,
      args: [],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowExecutionTimeout: '2m',
      ...(searchAttributes ? ofKind(WORKFLOW_KIND.housekeeping) : {}),
    });
  }

  return async () => {
    await Promise.race([
      client.withDeadline(Date.now() + LOOK_LIMIT_MS, look).catch(() => undefined),
      new Promise((resolve) => setTimeout(resolve, LOOK_LIMIT_MS).unref()),
    ]);
  };
}

/** The daily Schedule that prunes; made again when Temporal's database was lost. */

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

/** Keeps the Schedules of deckies with an interval of their own as they should be (docs/rotation.md); what Temporal lost is made again. */

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
