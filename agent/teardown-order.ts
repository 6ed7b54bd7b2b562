/** A teardown: one decky, or everything and the network. */
import { DECKY_STATE, OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import { takeDown } from './decky-work.ts';
import { presentDeckies, tidy } from './host-steps.ts';
import { recordOf, type TeardownOrderRecord } from './state.ts';
import type { Job } from './workbench.ts';

/** Throws what kept a decky from going: the answer to the master is the report. */
export async function teardown(job: Job<TeardownOrderRecord>): Promise<void> {
  const { order, bench } = job;
  const { progressDeadlineMs } = ROLLOUT_DEFAULTS;
  const names = order.decky_id === null ? await presentDeckies(job, progressDeadlineMs) : [order.decky_id];
  const errors = await Promise.all(names.map((name) => takeDown(job, name, progressDeadlineMs)));
  await bench.store.record((state) => {
    names.forEach((name, at) => {
      if (errors[at] !== null) return;
      const { operation_id, attempt } = order;
      const outcome = {
        operation: OPERATION.teardown,
        status: STATUS.succeeded,
        error: null,
        seen: DECKY_STATE.tornDown,
      };
      recordOf(state, name).last = { operation_id, attempt, ...outcome, ended_at: new Date().toISOString() };
    });
  });
  await tidy(job);
  const failed = errors.find((error) => error !== null);
  if (failed !== undefined) throw failed;
}
