/** Options that several commands share, checked before anything is asked. */
import { InvalidArgumentError } from 'commander';
import { isDeckhandError } from '../../fleet/errors.ts';
import { parseDuration } from '../../fleet/limits.ts';

/** `"15m"` → milliseconds. */
export const durationMs =
  (name: string) =>
  (text: string): number => {
    try {
      return parseDuration(text, name);
    } catch (error) {
      throw isDeckhandError(error) ? new InvalidArgumentError(error.message) : error;
    }
  };

/** Checked here, sent as it was written. */
export const durationText =
  (name: string) =>
  (text: string): string => {
    durationMs(name)(text);
    return text.trim();
  };

export const wholeNumber = (text: string): number => {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Write a whole number, 1 or more.');
};

/** Long enough for a first deploy that still has to pull its images. */
export const DEFAULT_TIMEOUT_MS = 900_000;
