/** An attempt on a decky, with deadlines that count from what was written down, and not from the start of the agent. */

import { DECKY_STATE, OPERATION, type Operation, STATUS } from '../fleet/lifecycle.ts';
import { bringUpBoundMs } from '../fleet/limits.ts';
import type { Memory } from './patience.ts';
import { type DeckyWork, knownRecord, noteOutcome, sameAttempt, type Timing } from './state.ts';
import { beginWork, hasSeen, noteStep, since } from './under-way.ts';
import { type Job, tellOutcome } from './workbench.ts';

/** Where a deadline passed while the agent was away, one more try has this long. */
const LAST_TRY_MS = 15_000;

export interface Attempt {
  readonly memory: Memory;
  /** What is left of healthy_deadline. The first call says that the containers were started. */
  healthyLeftMs(): Promise<number>;
}

interface Begin {
  readonly name: string;
  /** Null where nothing waits: a removal has the deadline of its caller. */
  readonly timing: Timing | null;
  /** Null for a decky that only has to stay as it is: nobody waits for a report on it. */
  readonly report: Operation | null;
}

/** Resolves when the begin is on disk. What was begun before a restart goes on, and is not reported a second time. */
export async function beginAttempt(job: Job, { name, timing, report }: Begin): Promise<Attempt> {
  const { store } = job.bench;
  const now = new Date();
  const begun = await store.record((state) => {
    const last = knownRecord(state, name)?.last;
    const isKnown = last != null && sameAttempt(last, job.order);
    const work = beginWork(state, job.order, name, now);
    const outcome = report !== null && !isKnown ? runningAs(report) : null;
    if (outcome) noteOutcome(state, job.order, name, outcome, now);
    const lastTry = timing !== null && !work.late && isLate(work, timing, now);
    if (lastTry) work.late = true;
    return { work, outcome, lastTry };
  });
  const { work, outcome, lastTry } = begun;
  if (outcome) tellOutcome(job, name, outcome);
  const { progressDeadlineMs = 0, healthyDeadlineMs = 0, minHealthyMs = 0 } = timing ?? {};
  const left = (deadlineMs: number, from: string | undefined, graceMs: number): number =>
    Math.max(deadlineMs - since(from, new Date()), lastTry ? Math.min(deadlineMs, graceMs) : 0);
  return {
    memory: {
      leftMs: left(progressDeadlineMs, work.moved_at, LAST_TRY_MS),
      boundMs: left(bringUpBoundMs({ progressDeadlineMs }), work.began_at, LAST_TRY_MS),
      hasSeen: (step) => hasSeen(work, step),
      note: (step) => store.record(() => noteStep(work, step, new Date())),
    },
    async healthyLeftMs() {
      if (work.up_at === undefined)
        await store.record(() => {
          work.up_at = new Date().toISOString();
        });
      return left(healthyDeadlineMs, work.up_at, minHealthyMs + LAST_TRY_MS);
    },
  };
}

const isLate = ({ moved_at, up_at }: DeckyWork, timing: Timing, now: Date): boolean =>
  since(moved_at, now) >= timing.progressDeadlineMs ||
  (up_at !== undefined && since(up_at, now) >= timing.healthyDeadlineMs);

const runningAs = (operation: Operation) => ({
  operation,
  status: STATUS.running,
  error: null,
  seen: operation === OPERATION.teardown ? DECKY_STATE.tearingDown : DECKY_STATE.pending,
});
