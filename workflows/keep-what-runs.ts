/** The fleet's network can't be made: nothing of the operation can be, and what ran goes on, or comes back. */
import type { LocalPart } from '../activities/deployments.ts';
import { ERROR_TEXT_LIMIT } from '../fleet/errors.ts';
import { STATUS, type Transition } from '../fleet/lifecycle.ts';
import { LIMITS } from '../fleet/limits.ts';
import { onEngine, openRows, recordTransitions } from './activities.ts';
import type { Counts } from './ended-rows.ts';
import { cleanUpIsOwed } from './local-work.ts';
import { CLEAN_UP } from './profiles.ts';

type Row = Awaited<ReturnType<typeof openRows>>[number];

/** Ends every row as failed for this reason, removals too, each with what the engine has of its decky then. */
export async function keepWhatRuns(parts: readonly LocalPart[], error: string): Promise<Counts> {
  let failed = 0;
  for (const part of parts) {
    const rows = await openRows({ workflowId: part.workflowId });
    for (let at = 0; at < rows.length; at += LIMITS.localParallel) {
      const some = rows.slice(at, at + LIMITS.localParallel);
      await recordTransitions({ transitions: await Promise.all(some.map((row) => keep(row, error))) });
    }
    failed += rows.length;
  }
  return { succeeded: 0, failed };
}

async function keep({ deckyName, lifecycleId }: Row, error: string): Promise<Transition> {
  const { sentence, seen } = await onEngine(CLEAN_UP, `keep ${deckyName}`)
    .composeDiscard({ deckyName, lifecycleId })
    .catch(() => cleanUpIsOwed(deckyName));
  const whole = `${error} (${sentence})`;
  const text = whole.length <= ERROR_TEXT_LIMIT ? whole : error;
  return { lifecycleId, deckyName, status: STATUS.failed, error: text, seen };
}
