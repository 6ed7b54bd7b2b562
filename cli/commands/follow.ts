/** Reads for a wait: a deployment, single rows, or both. */
import type { DeploymentDetail } from '../api-types.ts';
import type { Master } from '../master.ts';
import type { Snapshot } from '../watch.ts';

/** A request that ended in one of these never has rows (docs/states/request.md). */
const NEVER = ['refused', 'withdrawn'];

function refusalOf(detail: DeploymentDetail): string | null {
  if (NEVER.includes(detail.state)) return detail.refusal?.detail ?? `it was ${detail.state}.`;
  return detail.rows.length === 0 && detail.ended_at !== null
    ? `it ended without a row (${detail.outcome ?? detail.state}).`
    : null;
}

/** Rows of the deployment, and beside them single rows that belong to other operations. */
export const followReader =
  (master: Master, id: string | null, lifecycleIds: readonly string[]) => async (): Promise<Snapshot> => {
    const [detail, others] = await Promise.all([
      id === null ? null : master.deployment(id),
      lifecycleIds.length === 0 ? [] : master.lifecycle(lifecycleIds),
    ]);
    return {
      rows: [...(detail?.rows ?? []), ...others],
      waitingFor: detail?.waiting_for ?? null,
      refusal: detail === null ? null : refusalOf(detail),
    };
  };
