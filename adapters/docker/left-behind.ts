/**
 * What the engine could not bring back by itself. After a restart of the machine, or of Docker, it starts all containers side by
 * side; a service that comes before its base can't join the base's network, and its restart policy counts for nothing then.
 */
import type { Inspection } from './health.ts';

/** The engine's words, since it has no code for it: 20.10 to 28, seen with 20.10. */
const BASE_WAS_NOT_THERE = /cannot join network\b.*\bnon running container/;

export const isLeftBehind = ({ state, error }: Pick<Inspection, 'state' | 'error'>): boolean =>
  state === 'exited' && BASE_WAS_NOT_THERE.test(error);
