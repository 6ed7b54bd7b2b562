/** What a clean-up after a failure did not get done, because the engine was away or the disk full, is done once that has passed. */
import { type AgentState, knownRecord } from './state.ts';
import { wayBack } from './way-back.ts';
import type { Workbench } from './workbench.ts';

const left = (state: AgentState): string[] =>
  Object.entries(state.deckies).flatMap(([name, { cleanUp }]) => (cleanUp ? [name] : []));

export const hasLeft = (state: AgentState): boolean => left(state).length > 0;

/** Throws the reason of `signal` when aborted: an order has come, which does as it says with the decky. */
export async function cleanUp(bench: Workbench, signal: AbortSignal): Promise<void> {
  const { store, logger } = bench;
  for (const name of left(store.state)) {
    const { network } = store.state;
    const record = knownRecord(store.state, name);
    if (!record || (record.established && !network)) continue;
    // Should the clean-up end the agent, it is not begun again.
    await store.record(() => void delete record.cleanUp);
    const keep = (): Promise<unknown> =>
      store.record(() => {
        record.cleanUp = true;
      });
    try {
      const terms = { signal, cut: signal, onStep: () => {} };
      const { sentence, isDone } = await wayBack(bench, { name, network, established: record.established }, terms);
      if (isDone) logger.info({ decky: name }, `a clean-up was done later: ${sentence}`);
      else await keep();
    } catch (error) {
      await keep();
      throw error;
    }
  }
}
