/** How messages show texts. */
const LONGEST_SHOWN = 300;
const MOST_SHOWN = 100;

/** What a sentence shows of a text that may have any length. */
export const shorten = (text: string): string =>
  text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;

/** Texts as DECNET's messages show them: `'web'`, `['a', 'b']` (the recorded answers are Python's repr). */
export function quote(whole: string): string {
  const text = shorten(whole);
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll(mark, `\\${mark}`);
  return `${mark}${escaped}${mark}`;
}

export function quoteList(texts: readonly string[]): string {
  const more = texts.length > MOST_SHOWN ? `, and ${texts.length - MOST_SHOWN} more` : '';
  return `[${texts.slice(0, MOST_SHOWN).map(quote).join(', ')}${more}]`;
}
