/** Rows whose workflow ended without ending them: the engine is asked, then they end as failed, saying what was seen. */
import type { OpenRow } from '../adapters/postgres/lifecycle.ts';
import { errorText } from '../fleet/errors.ts';
import type { Transition } from '../fleet/lifecycle.ts';
import { STATUS } from '../fleet/lifecycle.ts';
import { onEngine, recordTransitions } from './activities.ts';
import { LOOK } from './profiles.ts';

export async function settleLost(rows: readonly OpenRow[]): Promise<void> {
  if (rows.length === 0) return;
  const seen = await look(rows.map((row) => row.deckyName));
  const transitions = rows.map(({ lifecycleId, deckyName, workflowId }): Transition => {
    const sight = seen?.find((one) => one.deckyName === deckyName);
    const observed = sight?.sentence ?? 'the engine did not answer, so what runs is unknown';
    const error = errorText(
      'WorkflowLost',
      `${workflowId} ended without ending this row; ${observed}. Deploy it again to be sure.`,
    );
    return { lifecycleId, deckyName, status: STATUS.failed, error, ...(sight ? { seen: sight.seen } : {}) };
  });
  await recordTransitions({ transitions });
}

async function look(deckyNames: string[]) {
  try {
    return await onEngine(LOOK, 'look what runs').sightDeckies({ deckyNames });
  } catch {
    return null;
  }
}
