/** Texts as DECNET's messages show them: `'web'`, `['a', 'b']` (the recorded answers are Python's repr). */
export function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll(mark, `\\${mark}`);
  return `${mark}${escaped}${mark}`;
}

export const quoteList = (texts: readonly string[]): string => `[${texts.map(quote).join(', ')}]`;
