/** Texts of others, made fit for a row, a log line and a screen. */

/** Control characters other than tab and line feed. PostgreSQL stores no NUL, and a terminal obeys the others. */
const CONTROL = '\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f';
/** Half a surrogate pair: JSON can carry one, PostgreSQL's jsonb can't. */
const LONE_SURROGATE = '\\p{Cs}';
const UNFIT = new RegExp(`[${CONTROL}${LONE_SURROGATE}]`, 'gu');
const CUT = ' … ';

/** The text without what no store and no screen should get. */
export const plainText = (text: string): string => text.replace(UNFIT, '');

/**
 * At most `limit` UTF-16 units of the plain text. Head and tail stay, since evidence stands last.
 * Call it after secrets were cut out: `[cut]` can be longer than what it replaces.
 */
export function boundedText(text: string, limit: number): string {
  const plain = plainText(text);
  if (plain.length <= limit) return plain;
  if (limit <= CUT.length) return plainText(plain.slice(0, limit));
  const head = Math.floor((limit - CUT.length) * 0.6);
  const tail = limit - CUT.length - head;
  // A cut can go through a surrogate pair.
  return plainText(plain.slice(0, head)) + CUT + plainText(plain.slice(plain.length - tail));
}
