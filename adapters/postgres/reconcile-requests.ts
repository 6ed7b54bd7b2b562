/** Requests that the clock makes to mend what drifts, and how often. */

import { intervalMs } from '../../fleet/durations.ts';
import { deployWorkflowId } from '../../fleet/housekeeping.ts';
import { ROLLOUT_DEFAULTS } from '../../fleet/limits.ts';
import { RECONCILE_USER } from '../../fleet/requests.ts';
import { reachable, type Sql } from './connect.ts';
import { storeClockRequest } from './deployments.ts';
import { createConvergenceStore } from './drift.ts';
import { createSettings } from './settings.ts';

export function createReconcileStore(sql: Sql) {
  const { mendable, tries } = createConvergenceStore(sql);
  return {
    mendable,
    tries,
    interval: (): Promise<number | null> =>
      reachable(async () => {
        const text = await createSettings(sql).reconcileInterval();
        return text === null ? null : intervalMs(text);
      }),
    /** Safe to repeat. */
    request: ({ operationId, deckies }: { operationId: string; deckies: readonly string[] }): Promise<void> =>
      reachable(() =>
        storeClockRequest(sql, {
          id: operationId,
          kind: 'reconcile',
          workflowId: deployWorkflowId(operationId),
          username: RECONCILE_USER,
          request: { deckies, host: null },
          options: ROLLOUT_DEFAULTS,
        }),
      ),
  };
}
