/** A mutation: one decky with other services. */
import type { DesiredDecky } from '../fleet/config.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { DECKY_STATE, OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { bringUp } from './decky-work.ts';
import { tidy, writeDocumentPatiently } from './host-steps.ts';
import { hasEndedIn, knownRecord, type MutateOrderRecord } from './state.ts';
import { failureText, type Job, note } from './workbench.ts';

export async function mutate(job: Job<MutateOrderRecord>): Promise<void> {
  const { decky_id: name } = job.order;
  try {
    await mutateDecky(job, name);
  } catch (error) {
    job.signal.throwIfAborted();
    job.bench.logger.error({ err: error, decky: name }, 'a mutation broke off');
    const seen = DECKY_STATE.degraded;
    await note(job, name, {
      operation: OPERATION.mutate,
      status: STATUS.failed,
      error: failureText(error, null),
      seen,
    });
  }
}

async function mutateDecky(job: Job<MutateOrderRecord>, name: string): Promise<void> {
  const { order, bench } = job;
  const { services, timing } = order;
  const operation = OPERATION.mutate;
  const { state } = bench.store;
  const record = knownRecord(state, name);
  const present = record?.established ?? record?.desired;
  if (!record || !present || !state.network) {
    const error = new DeckhandError('NotFound', `This host has no decky ${name}.`);
    return note(job, name, {
      operation,
      status: STATUS.failed,
      error: failureText(error, null),
      seen: DECKY_STATE.failed,
    });
  }
  const desired: DesiredDecky = {
    config: { ...present.config, services, last_mutated: Date.parse(order.accepted_at) / 1_000 },
    custom_services: order.custom_services ?? present.custom_services,
  };
  await bench.store.record(() => {
    // After a restart: what has failed in this order has got its last good version back.
    if (!hasEndedIn(state, order, name)) record.desired = desired;
  });
  await writeDocumentPatiently(job, timing.progressDeadlineMs);
  await bringUp(job, { name, desired, network: state.network, operation, timing, reported: true });
  await tidy(job);
}
