/** A host is back: which of the deckies that were given up there are otherwise than the fleet has them. */
import type { Comparison, EngineSight } from './drift.ts';

export interface ReturnedDecky {
  readonly name: string;
  readonly established: boolean;
}

/** What is in neither list can't be said now. */
export function judgeReturned(
  deckies: readonly ReturnedDecky[],
  sight: EngineSight,
  comparison: Comparison,
): { readonly asTheyShould: readonly string[]; readonly differ: readonly string[] } {
  if (!sight.answered || !comparison.known) return { asTheyShould: [], differ: [] };
  const drifting = new Set(comparison.drift.map(({ decky }) => decky));
  const known = deckies.filter(({ name }) =>
    sight.deckies.has(name) ? !sight.deckies.get(name)?.busy : sight.complete,
  );
  // One that never came up by a row is not compared: that it is there at all is the difference.
  const isOther = ({ name, established }: ReturnedDecky): boolean =>
    established ? drifting.has(name) : sight.deckies.has(name);
  return {
    asTheyShould: known.filter((one) => !isOther(one)).map(({ name }) => name),
    differ: known.filter(isOther).map(({ name }) => name),
  };
}
