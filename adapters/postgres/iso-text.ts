/** Times as the wire has them, made of what PostgreSQL writes. */

const SECONDS_END = 19;
const MICROSECONDS = 6;

/** `2026-11-24 18:36:51.12` (a `timestamp` in UTC, as text) is `2026-11-24T18:36:51.120000Z`: always six places, as the function `iso`. */
export function isoOfText(text: string): string {
  const fraction = text.slice(SECONDS_END + 1).padEnd(MICROSECONDS, '0');
  return `${text.slice(0, 10)}T${text.slice(11, SECONDS_END)}.${fraction}Z`;
}
