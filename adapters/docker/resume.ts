/**
 * What the engine could not bring back by itself. After a restart of the machine, or of Docker, it starts all containers side by
 * side; a service that comes before its base can't join the base's network, and its restart policy counts for nothing then.
 */
import type { DeckySpec } from '../../fleet/compose-types.ts';
import { DRIFT } from '../../fleet/drift.ts';
import type { ComposeEngine, DeckyObservation } from './engine.ts';
import type { Inspection } from './health.ts';

/** The engine's words, since it has no code for it: 20.10 to 28, seen with 20.10. */
const BASE_WAS_NOT_THERE = /cannot join network\b.*\bnon running container/;

export const isLeftBehind = ({ state, error }: Pick<Inspection, 'state' | 'error'>): boolean =>
  state === 'exited' && BASE_WAS_NOT_THERE.test(error);

/** As `observe`, after what the engine left behind of these deckies was started. What exited otherwise stays as it is. */
export async function observeResumed(
  engine: ComposeEngine,
  specs: readonly DeckySpec[],
  signal: AbortSignal,
): Promise<readonly DeckyObservation[]> {
  const seen = await engine.observe(specs, signal);
  const exited = seen.filter(({ drift }) => drift.some(({ reason }) => reason === DRIFT.exited));
  if (exited.length === 0) return seen;
  const started = await engine.resume(
    exited.map(({ decky }) => decky),
    signal,
  );
  return started.length > 0 ? engine.observe(specs, signal) : seen;
}
