/** The sweep each minute and the look at the master's own engine, in one run of many rounds (fleet/housekeeping.ts). */
import { condition, continueAsNew, isCancellation, log, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import {
  type HousekeepingInput,
  LONGEST_RUN_MS,
  MOST_RUN_BYTES,
  MOST_RUN_EVENTS,
  SWEEP_EVERY_MS,
} from '../fleet/housekeeping.ts';
import { look } from './activities.ts';
import { LOOK } from './profiles.ts';
import { sweep } from './sweep.ts';

type Task = 'sweep' | 'look';

export async function housekeeping(input: HousekeepingInput): Promise<void> {
  const until = Date.now() + LONGEST_RUN_MS;
  const due: Record<Task, number> = { ...(input.due ?? { sweep: 0, look: 0 }) };
  const last: Partial<Record<Task, string>> = {};
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

  await Promise.all([
    repeat('look', input.lookMs, async () => {
      const { answered, drifting } = await look(LOOK, 'compare what runs with what should').lookAtEngine();
      return answered ? `${drifting} deckies drift` : 'the engine does not answer';
    }),
    repeat('sweep', input.sweepMs ?? SWEEP_EVERY_MS, async () => {
      const { restarted, lost } = await sweep();
      return `${restarted} operations started again, ${lost} rows ended as lost`;
    }),
  ]);
  await continueAsNew<typeof housekeeping>({ ...input, due });
}
