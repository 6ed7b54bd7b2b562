/** A source of numbers in [0, 1). */
export type Random = () => number;

/**
 * Random numbers that the text alone decides, so that a retry of one request draws the same hostnames and services.
 * FNV-1a spreads the text over 32 bits, a Weyl sequence with two multiplicative mixes makes the stream. Not for secrets.
 */
export function seededRandom(text: string): Random {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1)
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000;
  };
}

/** One of the items; the list must not be empty. */
export function pick<T>(items: readonly T[], random: Random): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('pick: nothing to pick from');
  return item;
}

/** A whole number from `low` to `high`, both included. */
export const integerBetween = (low: number, high: number, random: Random): number =>
  low + Math.floor(random() * (high - low + 1));
