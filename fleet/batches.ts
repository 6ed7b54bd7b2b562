/** Lists that go through Temporal are cut: a payload may have 2 MiB, and a list of errors has no other bound. */

/** Bytes of a batch at most: a quarter of what Temporal takes, and what it warns of. */
export const BATCH_BYTES = 512 * 1024;

/** What a value weighs in a payload. */
export const weightOf = (value: unknown): number => {
  const text = JSON.stringify(value) ?? '';
  let bytes = text.length;
  for (const { length } of text.match(/[^\0-\x7f]+/g) ?? []) bytes += 2 * length;
  return bytes;
};

/** How many of the first items go into one batch: at most `most`, and no more than {@link BATCH_BYTES} unless one alone weighs more. */
export function fitting(items: readonly unknown[], most: number): number {
  let bytes = 2;
  let count = 0;
  for (const item of items) {
    bytes += weightOf(item) + 1;
    if (count > 0 && (bytes > BATCH_BYTES || count >= most)) break;
    count += 1;
  }
  return count;
}

/** The items in their order, in batches that {@link fitting} allows. */
export function inBatches<T>(items: readonly T[], most: number): T[][] {
  const batches: T[][] = [];
  for (let rest = items; rest.length > 0; ) {
    const count = fitting(rest, most);
    batches.push(rest.slice(0, count));
    rest = rest.slice(count);
  }
  return batches;
}
