/** Ends what is open of an order as failed, without touching the engine. */
import { DECKY_STATE, OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { type DeployOrderRecord, knownRecord, type OrderRecord } from './state.ts';
import { all, failureText, note, type Workbench } from './workbench.ts';

export async function giveUp(bench: Workbench, order: OrderRecord, failure: unknown): Promise<void> {
  const error = failureText(failure, null);
  if (order.kind === 'deploy') await failDeckies(bench, order, error);
  else if (order.kind === 'mutate') {
    const { decky_id: name } = order;
    const established = knownRecord(bench.store.state, name)?.established ?? null;
    const seen = established ? DECKY_STATE.degraded : DECKY_STATE.failed;
    const outcome = { operation: OPERATION.mutate, status: STATUS.failed, error, seen };
    await note({ bench, order }, name, outcome, { desired: established });
  }
}

export const failDeckies = (bench: Workbench, order: DeployOrderRecord, error: string): Promise<void> =>
  all([...order.deploy, ...order.remove].map((name) => failDecky(bench, order, name, error)));

/** One of the order's deckies; of another one nothing is reported. */
export async function failDecky(
  bench: Workbench,
  order: DeployOrderRecord,
  name: string,
  error: string,
): Promise<void> {
  if (order.remove.includes(name)) {
    const operation = OPERATION.teardown;
    await note({ bench, order }, name, { operation, status: STATUS.failed, error, seen: DECKY_STATE.teardownFailed });
  } else if (order.deploy.includes(name)) {
    const established = knownRecord(bench.store.state, name)?.established ?? null;
    const seen = established ? DECKY_STATE.degraded : DECKY_STATE.failed;
    const outcome = { operation: OPERATION.deploy, status: STATUS.failed, error, seen };
    await note({ bench, order }, name, outcome, { desired: established });
  }
}
