/** The product's own rounds, in one run of many: sweeps, looks at the master's own engine, and what comes by the clock (fleet/housekeeping.ts). */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  condition,
  continueAsNew,
  isCancellation,
  log,
  setCurrentDetails,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { EngineLook } from '../activities/convergence.ts';
import {
  CATCH_UP_MS,
  CLOCK_EVERY_MS,
  type ClockTask,
  type HousekeepingInput,
  hasCome,
  LONGEST_RUN_MS,
  lookRound,
  MOST_RUN_BYTES,
  MOST_RUN_EVENTS,
  reconcileWorkflowId,
  rotateWorkflowId,
  roundMs,
  SWEEP_EVERY_MS,
} from '../fleet/housekeeping.ts';
import { askDueRotations, look, onEngine, readIntervals, reconcileIsDue } from './activities.ts';
import { CLEAN_UP_LATER, LOOK, lookRounds } from './profiles.ts';
import type { reconcileFleet } from './reconcile.ts';
import type { rotateInherited } from './rotate.ts';
import { housekeepingAttributes } from './search-attributes.ts';
import { sweep } from './sweep.ts';

type Task = 'sweep' | 'look' | 'clock';

/** Says how many could not be cleaned up this time either. */
async function cleanUpLater(owed: readonly string[]): Promise<number> {
  let left = 0;
  for (const deckyName of owed) {
    const done = await onEngine(CLEAN_UP_LATER, `clean up ${deckyName}`)
      .cleanUpLater({ deckyName })
      .catch(rethrowCancellation);
    if (!done) left += 1;
  }
  return left;
}

function rethrowCancellation(failure: unknown): false {
  if (isCancellation(failure)) throw failure;
  return false;
}

export async function housekeeping(input: HousekeepingInput): Promise<void> {
  const until = Date.now() + LONGEST_RUN_MS;
  const due: Record<Task, number> = { ...(input.due ?? { sweep: 0, look: 0, clock: 0 }) };
  const since = Date.now() - CATCH_UP_MS;
  const judged: Record<ClockTask, number> = { ...(input.judged ?? { rotate: since, reconcile: since }) };
  const last: Partial<Record<Task, string>> = {};
  const looks = lookRound(input.lookMs);
  let looking: Promise<EngineLook> | null = null;
  let over = false;

  function tell(task: Task, sentence: string): void {
    last[task] = sentence;
    setCurrentDetails(
      Object.entries(last)
        .map(([name, text]) => `- ${name}: ${text}`)
        .join('\n'),
    );
  }

  /** Rounds never overlap: one that takes longer than its interval has the next one begin when it has ended. */
  async function repeat(task: Task, everyMs: number, round: () => Promise<string>): Promise<void> {
    for (;;) {
      await condition(() => over, Math.max(1, due[task] - Date.now()));
      if (over) return;
      due[task] = Date.now() + everyMs;
      try {
        tell(task, await round());
      } catch (failure) {
        if (isCancellation(failure)) throw failure;
        // The next round tries again; what it could not do waits in the database.
        log.warn('a round of housekeeping failed', { task, err: failure });
        tell(task, `failed: ${failure instanceof Error ? (failure.cause ?? failure) : String(failure)}`);
      }
      const { historyLength, historySize } = workflowInfo();
      over ||= historyLength >= (input.mostEvents ?? MOST_RUN_EVENTS) || historySize >= MOST_RUN_BYTES;
      over ||= Date.now() >= until;
    }
  }

  /** Never two at once: whoever wants one while one is under way waits for that. */
  async function seeEngine(): Promise<EngineLook> {
    const profile = looks.times === 1 ? LOOK : lookRounds(roundMs(looks));
    looking ??= look(profile, 'compare what runs with what should')
      .lookAtEngine(looks)
      .finally(() => {
        looking = null;
      });
    return looking;
  }

  async function rotate(): Promise<string> {
    if ((await askDueRotations({ limit: 1 })).length === 0) return 'no rotation is due';
    return begin('rotateInherited', rotateWorkflowId(input.taskQueue), input);
  }

  async function reconcile(): Promise<string> {
    try {
      await seeEngine();
    } catch (failure) {
      // Hosts have told of themselves: they are mended all the same.
      if (isCancellation(failure)) throw failure;
    }
    if (!(await reconcileIsDue())) return 'nothing is due to be mended';
    return begin('reconcileFleet', reconcileWorkflowId(input.taskQueue), input);
  }

  async function clock(): Promise<string> {
    const { rotateMs, reconcileMs } = await readIntervals();
    const now = Date.now();
    const told: string[] = [];
    const judge = async (task: ClockTask, everyMs: number | null, work: () => Promise<string>): Promise<void> => {
      // Without an interval nothing is judged: one that is set then begins at once.
      if (everyMs === null || !hasCome(everyMs, judged[task], now)) return;
      told.push(await work());
      judged[task] = now;
    };
    const ends = await Promise.allSettled([
      judge('rotate', rotateMs, rotate),
      judge('reconcile', reconcileMs, reconcile),
    ]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return told.join('; ') || last.clock || 'nothing had its time yet';
  }

  await Promise.all([
    repeat('look', roundMs(looks), async () => {
      const { answered, drifting, owed } = await seeEngine();
      const left = await cleanUpLater(owed);
      if (!answered) return 'the engine does not answer';
      return `${drifting} deckies drift${left > 0 ? `, ${left} are still to be cleaned up after a failure` : ''}`;
    }),
    repeat('sweep', input.sweepMs ?? SWEEP_EVERY_MS, async () => {
      const { restarted, lost } = await sweep();
      return `${restarted} operations started again, ${lost} rows ended as lost`;
    }),
    repeat('clock', input.clockMs ?? CLOCK_EVERY_MS, clock),
  ]);
  await continueAsNew<typeof housekeeping>({ ...input, due, judged });
}

/** Begins a workflow that outlives this run; one that still runs is left to itself. */
async function begin(
  type: 'rotateInherited' | 'reconcileFleet',
  workflowId: string,
  { searchAttributes }: HousekeepingInput,
): Promise<string> {
  try {
    await startChild<typeof rotateInherited | typeof reconcileFleet>(type, {
      workflowId,
      args: [{ searchAttributes }],
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      parentClosePolicy: 'ABANDON',
      ...(searchAttributes ? { typedSearchAttributes: housekeepingAttributes() } : {}),
    });
  } catch (failure) {
    if (!(failure instanceof WorkflowExecutionAlreadyStartedError)) throw failure;
    return `\`${workflowId}\` still runs`;
  }
  return `\`${workflowId}\` begun`;
}
