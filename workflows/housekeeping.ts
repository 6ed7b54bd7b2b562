/**
 * The product's own work, which nobody asked for.
 *
 * 1. {@link housekeeping}: sweeps, looks at the master's own engine, and what comes by the clock, many rounds in one run
 *    (fleet/housekeeping.ts).
 * 2. {@link sweep}: what the bus has not, and rows that nobody works on.
 * 3. {@link reconcileFleet}: mends what drifts (docs/convergence.md).
 * 4. {@link prune}: removes what is older than what is kept.
 */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  continueAsNew,
  executeChild,
  isCancellation,
  log,
  setCurrentDetails,
  startChild,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { EngineLook } from '../activities/convergence.ts';
import {
  CATCH_UP_MS,
  CLOCK_EVERY_MS,
  type ClockTask,
  deployWorkflowId,
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
import {
  askDueRotations,
  closeOrphans,
  findOrphans,
  observing,
  onEngine,
  pruneRecords,
  publishTransitions,
  readIntervals,
  reconcileIsDue,
  restartOperations,
  resumeTeardowns,
  storeReconcile,
} from './activities.ts';
import type { deployFleet } from './deploy.ts';
import { settleLost } from './lost-rows.ts';
import type { rotateInherited } from './mutate.ts';
import { housekeepingAttributes, workAttributes } from './operation.ts';
import { CLEAN_UP_LATER, OBSERVE_ENGINE, observeRounds } from './profiles.ts';

type Task = 'sweep' | 'look' | 'clock';

/** Says how many could not be cleaned up this time either. */
async function cleanUpLater(pending: readonly string[]): Promise<number> {
  let left = 0;
  for (const deckyName of pending) {
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
  let observation: Promise<EngineLook> | null = null;
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
  async function observeEngine(): Promise<EngineLook> {
    const profile = looks.times === 1 ? OBSERVE_ENGINE : observeRounds(roundMs(looks));
    observation ??= observing(profile, 'compare what runs with what should')
      .lookAtEngine(looks)
      .finally(() => {
        observation = null;
      });
    return observation;
  }

  async function rotate(): Promise<string> {
    if ((await askDueRotations({ limit: 1 })).length === 0) return 'no rotation is due';
    return begin('rotateInherited', rotateWorkflowId(input.taskQueue), input);
  }

  async function reconcile(): Promise<string> {
    try {
      await observeEngine();
    } catch (failure) {
      // Hosts report for themselves: they are mended all the same.
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
      const { answered, drifting, owed } = await observeEngine();
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

interface SweepSummary {
  readonly restarted: number;
  readonly lost: number;
}

/** A round of housekeeping each minute: sends what the bus has not, and finds the rows that nobody works on. */
export async function sweep(): Promise<SweepSummary> {
  // A bus that is down is no reason to leave rows open.
  const sent = await publishTransitions().catch(() => null);
  const orphans = await findOrphans();
  // What can't be done for one is no reason to leave out the rest: it is the failure of this sweep at the end.
  const failures: unknown[] = [];
  const beside = (failure: unknown): void => {
    if (isCancellation(failure)) throw failure;
    failures.push(failure);
  };
  if (orphans.restart.length > 0) await restartOperations({ operationIds: orphans.restart }).catch(beside);
  await settleLost(orphans.lost).catch(beside);
  await closeOrphans().catch(beside);
  // A host's heartbeat begins its pending teardowns. The sweep begins those where that went wrong.
  await resumeTeardowns().catch(beside);
  if (failures.length > 0) throw failures[0];
  setCurrentDetails(
    `${sent === null ? 'The bus did not answer' : `${sent} events sent`}; ${orphans.restart.length} operations started again, ${orphans.lost.length} rows ended as lost.`,
  );
  return { restarted: orphans.restart.length, lost: orphans.lost.length };
}

interface ReconcileInput {
  readonly searchAttributes: boolean;
}

/** For somebody who waits for it. */
export async function lookAtEngine(): Promise<EngineLook> {
  const seen = await observing(OBSERVE_ENGINE, 'compare what runs with what should').lookAtEngine();
  setCurrentDetails(seen.answered ? `${seen.drifting} deckies drift` : 'The engine does not answer: unknown');
  return seen;
}

/** By an operation like one by hand, with a request and rows. Returns what became of it, in words. */
export async function reconcileFleet({ searchAttributes }: ReconcileInput): Promise<string> {
  try {
    await lookAtEngine();
  } catch (failure) {
    // Hosts report for themselves: they are mended all the same.
    if (isCancellation(failure)) throw failure;
  }
  const operationId = uuid4();
  if (!(await storeReconcile({ operationId }))) return 'nothing is due';
  setCurrentDetails(`**Waiting for** \`${deployWorkflowId(operationId)}\` to mend what drifts`);
  try {
    const { sentence } = await executeChild<typeof deployFleet>('deployFleet', {
      workflowId: deployWorkflowId(operationId),
      args: [{ operationId, searchAttributes, resume: true }],
      ...(searchAttributes ? { typedSearchAttributes: workAttributes() } : {}),
      // A row that was begun is ended, whatever becomes of this run.
      parentClosePolicy: 'ABANDON',
      staticSummary: 'reconcile by the clock',
    });
    return sentence;
  } catch (failure) {
    if (CancellationScope.current().consideredCancelled) throw failure;
    return isCancellation(failure) ? 'the operation was cancelled' : 'the operation was ended by somebody';
  }
}

type PruneSummary = Readonly<Record<string, number>>;

/** The prune, a Schedule each day: what is older than what is kept goes, never what is open (docs/observability.md#what-is-kept-and-how-long). */
export async function prune(): Promise<PruneSummary> {
  const removed = await pruneRecords();
  const lines = Object.entries(removed).map(([table, count]) => `- ${table}: ${count}`);
  setCurrentDetails(['Rows removed:', ...lines].join('\n'));
  return removed;
}
