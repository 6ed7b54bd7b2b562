/** The known word that somebody probably meant. Pure. */

/** Longer words are no typing mistakes of the short ones that are known. */
const LONGEST = 40;

/** A mistake of so many letters is still a mistake in a word of that length. */
const mistakesIn = (length: number): number => (length < 3 ? 0 : length < 6 ? 1 : length < 10 ? 2 : 3);

/** Letters to add, leave out, replace or swap with their neighbour. Both words are short. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const here = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let least = Math.min(replaced, (above[column] ?? 0) + 1, (here[column - 1] ?? 0) + 1);
      if (a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        least = Math.min(least, (before[column - 2] ?? least) + 1);
      here.push(least);
    }
    before = above;
    above = here;
  }
  return above[b.length] ?? 0;
}

/** Null where none is near. Case and the difference of `-` and `_` are no mistakes. */
export function nearWord(word: string, known: Iterable<string>): string | null {
  if (word.length > LONGEST) return null;
  const meant = word.toLowerCase().replaceAll('-', '_');
  let best: string | null = null;
  let least = mistakesIn(meant.length);
  for (const candidate of known) {
    if (Math.abs(candidate.length - meant.length) > least) continue;
    const far = distance(meant, candidate.toLowerCase().replaceAll('-', '_'));
    if (far < least || (far === least && best === null)) [best, least] = [candidate, far];
  }
  return best;
}
