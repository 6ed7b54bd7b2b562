/**
 * Texts of others, made fit for a row, a log line and a screen. The last part is the step of a decky
 * while something is retried: `retrying` and `isRetry` for what an agent says, `retriedText` for people.
 */

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

/** The longest step of a decky, in UTF-16 units. */
export const LONGEST_STEP = 300;

/** What an agent says, as the step of a decky, while it retries something that failed. */
const RETRYING = 'retrying: ';

/** `until`: the deadline of the retries. */
export const retrying = (message: string, until: Date): string => `${RETRYING}${message}; until ${until.toISOString()}`;

/** A repeated try that got no further is no progress, whatever it says. */
export const isRetry = (step: string): boolean => step.startsWith(RETRYING);

/** What is shown of work that is retried: the step, until when, and why. */
const MOST_OF_STEP = 90;
const AROUND = 50;
const MOST_OF_ERROR = LONGEST_STEP - MOST_OF_STEP - AROUND;
const shortened = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text;

/** `deadline`: epoch milliseconds; null where there is none. */
export function retriedText(step: string, error: string, deadline: number | null): string {
  const until = deadline === null ? 'retried' : `retried until ${new Date(deadline).toISOString().slice(11, 19)}Z`;
  const [line = ''] = error.split('\n');
  return `${shortened(step, MOST_OF_STEP)}; ${until}; last error: ${shortened(line, MOST_OF_ERROR)}`;
}
