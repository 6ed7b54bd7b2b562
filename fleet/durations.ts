/**
 * Every duration that a person can give, in one table: the least, the most, what holds where nobody gives one, and what 0
 * means. The API, the command, the environment, the agent and the documentation all read it, so that nothing is accepted
 * in one place and refused in the next.
 *
 * 1. {@link DURATIONS}: the table.
 * 2. {@link parseDuration}, {@link boundedDuration}: how a duration is read, and how it is written.
 * 3. {@link intervalMinutes}: intervals, of which a month and a year are units too.
 *
 * Temporal takes a time-out of zero for "no limit". So only a duration that bounds no wait may be 0.
 */
import { DeckhandError } from './errors.ts';
import { quote } from './text.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** In milliseconds. */
export interface DurationRule {
  readonly least: number;
  readonly most: number;
  readonly usual: number;
  /** What 0 means; null: 0 is refused. */
  readonly zero: string | null;
}

const define = <T extends Record<string, DurationRule>>(table: T): Readonly<Record<keyof T, DurationRule>> =>
  Object.freeze(table);

export const DURATIONS = define({
  // Of a request, and of the environment variables DECKHAND_<NAME>.
  min_healthy_time: { least: 0, most: 24 * HOUR, usual: 3 * SECOND, zero: 'running is enough' },
  healthy_deadline: { least: SECOND, most: 24 * HOUR, usual: 5 * MINUTE, zero: null },
  progress_deadline: { least: SECOND, most: 24 * HOUR, usual: 10 * MINUTE, zero: null },
  host_lost_after: { least: SECOND, most: 24 * HOUR, usual: 90 * SECOND, zero: null },
  // Of the environment alone.
  report_grace: { least: 0, most: 24 * HOUR, usual: 2 * MINUTE, zero: 'a look at the agent counts at once' },
  look_interval: { least: SECOND, most: 24 * HOUR, usual: MINUTE, zero: null },
  // A host without a heartbeat for 90 s is shown as unreachable.
  heartbeat_interval: { least: 100, most: MINUTE, usual: 30 * SECOND, zero: null },
  // Of the command alone: how long it waits.
  timeout: { least: 0, most: 30 * 24 * HOUR, usual: 15 * MINUTE, zero: 'look once' },
});

export type DurationName = keyof typeof DURATIONS;

export const DURATION_NAMES = Object.freeze(Object.keys(DURATIONS) as DurationName[]);

/** The environment variable that sets it; null where none does. */
export const variableOf = (name: DurationName): string | null =>
  name === 'timeout' ? null : `DECKHAND_${name.toUpperCase()}`;

const UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ['h', HOUR],
  ['m', MINUTE],
  ['s', SECOND],
  ['ms', 1],
];

/** As people write it: `90s`, `5m`, `24h`; 0 as `0`. */
export function durationText(ms: number): string {
  if (ms === 0) return '0';
  const [unit, size] = UNITS.find(([, each]) => ms >= each && ms % each === 0 && ms / each < 1_000) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** The spelling: digits, up to three after a point, and a unit. */
export const DURATION_PATTERN = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/;

/** `1s to 24h`, or `0 (running is enough) to 24h`. */
export function rangeOf(name: DurationName): string {
  const { least, most, zero } = DURATIONS[name];
  return `${zero === null ? durationText(least) : `0 (${zero})`} to ${durationText(most)}`;
}

/**
 * `"3s"`, `"5m"`, `"500ms"`, `"1h"`, or 0 where the table has it → milliseconds. Anything else is InvalidParameters: the
 * sentence names the duration as `said` (a field, an option, a variable) and says what is taken.
 */
export function parseDuration(value: unknown, name: DurationName, said: string = name): number {
  const { least, most } = DURATIONS[name];
  const ms = millisecondsOf(value);
  if (ms === null) throw refusal(`is no duration`);
  if (ms < least) throw refusal(`is shorter than ${durationText(least)}`);
  if (ms > most) throw refusal(`is longer than ${durationText(most)}`);
  return ms;

  function refusal(what: string): DeckhandError {
    const example = durationText(DURATIONS[name].usual);
    return new DeckhandError(
      'InvalidParameters',
      `${said}: ${shown(value)} ${what}. Write ${rangeOf(name)}, for example "${example}".`,
    );
  }
}

/** Null for what is no duration. A bare number has no unit, so that only 0 is one. */
function millisecondsOf(value: unknown): number | null {
  if (value === 0) return 0;
  if (typeof value !== 'string') return null;
  const text = value.trim();
  if (text === '0') return 0;
  const [, digits, unit] = DURATION_PATTERN.exec(text) ?? [];
  const size = UNITS.find(([one]) => one === unit)?.[1];
  return digits === undefined || size === undefined ? null : Math.round(Number(digits) * size);
}

const SHOWN = 40;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** A number that came by another way than {@link parseDuration}: never outside the table, and the usual one for what is no number. */
export function boundedDuration(ms: unknown, name: DurationName): number {
  const { least, most, usual } = DURATIONS[name];
  if (typeof ms !== 'number' || Number.isNaN(ms)) return usual;
  return Math.min(most, Math.max(least, Math.round(ms)));
}

/** Intervals as operators write them: `30m`, `5d`, `2M`, `1y`. */

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
