/** What several commands share in their definitions. An option is checked before anything is asked. */
import { type Command, InvalidArgumentError } from 'commander';
import { DURATIONS, type DurationName, intervalProblem, parseDuration } from '../fleet/durations.ts';
import { isDeckhandError } from '../fleet/errors.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './errors.ts';

/** Runs a command and keeps its exit code. */
export type Act = (command: Command, work: (context: Context) => Promise<ExitCode>) => Promise<void>;

export const TIMEOUT = [
  '--timeout <duration>',
  'give up waiting after this long; the operation goes on (default: 15m)',
] as const;

/** A duration of the table → milliseconds. The sentence of a refusal is the API's own, with the option in place of the field. */
const parsed = (name: DurationName, text: string): number => {
  try {
    return parseDuration(text, name, `--${name.replaceAll('_', '-')}`);
  } catch (error) {
    throw isDeckhandError(error) ? new InvalidArgumentError(error.message) : error;
  }
};

/** `--timeout`, in milliseconds. */
export const timeoutMs = (text: string): number => parsed('timeout', text);

/** Checked here, sent as it was written. */
export const durationOption =
  (name: DurationName) =>
  (text: string): string => {
    parsed(name, text);
    return text.trim();
  };

export const wholeNumber = (text: string): number => {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a whole number, 1 or more.');
};

/** Long enough for a first deploy that still has to pull its images. */
export const DEFAULT_TIMEOUT_MS = DURATIONS.timeout.usual;

/** `off`, or an interval as the API takes it. */
export const intervalOrOff = (text: string): string => {
  const problem = text === 'off' ? null : intervalProblem(text);
  if (problem !== null) throw new InvalidArgumentError(`${problem} Or write off.`);
  return text;
};
