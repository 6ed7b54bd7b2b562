/** Intervals as operators write them: `30m`, `5d`, `2M`, `1y`. */
import { quote } from './quote.ts';

const MINUTES: Readonly<Record<string, number>> = Object.freeze({ m: 1, d: 1_440, M: 43_200, y: 525_600, Y: 525_600 });

/** At most nine digits, so that the minutes stay a whole number on every wire. */
export const INTERVAL_PATTERN = /^[1-9]\d{0,8}[mdMyY]$/;

/** 100 years. PostgreSQL and Temporal can count no further than some hundreds, and nobody waits longer. */
export const LONGEST_INTERVAL_MINUTES = 100 * 525_600;

const WRITE =
  'Write a whole number and m (minutes), d (days), M (months) or y (years), at most 100 years, for example 30m.';

/** Why a text is no interval that anybody keeps, as the end of a sentence about it; null where it is one. */
export function intervalProblem(text: string): string | null {
  if (!INTERVAL_PATTERN.test(text)) return `${quote(text)} is no interval. ${WRITE}`;
  return intervalMinutes(text) > LONGEST_INTERVAL_MINUTES ? `${quote(text)} is longer than 100 years. ${WRITE}` : null;
}

/** Milliseconds of an interval, at most 100 years; the text has to match {@link INTERVAL_PATTERN}. */
export const intervalMs = (text: string): number => Math.min(intervalMinutes(text), LONGEST_INTERVAL_MINUTES) * 60_000;

/** Minutes; the text has to match {@link INTERVAL_PATTERN}. */
export const intervalMinutes = (text: string): number => Number(text.slice(0, -1)) * (MINUTES[text.slice(-1)] ?? 1);
