/** The known word that somebody probably meant. Pure. */

/** Longer words are no typing mistakes of the short ones that are known. */
const LONGEST = 40;

/** A mistake of so many letters is still a mistake in a word of that length. */
const mistakesIn = (length: number): number => (length < 3 ? 0 : length < 6 ? 1 : length < 10 ? 2 : 3);

/** Equal letters at the beginning and at the end are no mistakes, and need no table. */
function withoutEqualEnds(a: string, b: string): readonly [string, string] {
  const shorter = Math.min(a.length, b.length);
  let head = 0;
  while (head < shorter && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  return [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
}

/**
 * Letters to add, leave out, replace or swap with their neighbour; `most` + 1 where it takes more. Only what lies within
 * `most` of the diagonal is counted, since the rest can't be less. Both words are short.
 */
function distance(one: string, other: string, most: number): number {
  const far = most + 1;
  const [a, b] = withoutEqualEnds(one, other);
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => Math.min(column, far));
  for (let row = 1; row <= a.length; row += 1) {
    const here = new Array<number>(b.length + 1).fill(far);
    if (row <= most) here[0] = row;
    let nearest = here[0] ?? far;
    for (let column = Math.max(1, row - most); column <= Math.min(b.length, row + most); column += 1) {
      const replaced = (above[column - 1] ?? far) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let least = Math.min(replaced, (above[column] ?? far) + 1, (here[column - 1] ?? far) + 1, far);
      if (a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        least = Math.min(least, (before[column - 2] ?? far) + 1);
      here[column] = least;
      nearest = Math.min(nearest, least);
    }
    if (nearest >= far) return far;
    before = above;
    above = here;
  }
  return above[b.length] ?? far;
}

/** Null where none is near. Case and the difference of `-` and `_` are no mistakes. */
export function nearWord(word: string, known: Iterable<string>): string | null {
  if (word.length > LONGEST) return null;
  const meant = word.toLowerCase().replaceAll('-', '_');
  let best: string | null = null;
  let least = mistakesIn(meant.length);
  for (const candidate of known) {
    if (Math.abs(candidate.length - meant.length) > least) continue;
    const far = distance(meant, candidate.toLowerCase().replaceAll('-', '_'), least);
    if (far < least || (far === least && best === null)) [best, least] = [candidate, far];
  }
  return best;
}
