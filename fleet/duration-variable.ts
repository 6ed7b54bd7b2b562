/** A duration in the environment of a program. A file of its own: workflow code imports `durations.ts`, and has no use for zod. */
import { z } from 'zod';
import { type DurationName, parseDuration } from './durations.ts';
import { isDeckhandError } from './errors.ts';

/** A duration of the table in durations.ts → milliseconds. The program does not start with one that is out of range. */
export const durationVariable = (name: DurationName) =>
  z.string().transform((text, context) => {
    try {
      return parseDuration(text, name, 'it');
    } catch (error) {
      if (!isDeckhandError(error)) throw error;
      context.addIssue({ code: 'custom', message: error.message.replace(/^it: /, '') });
      return z.NEVER;
    }
  });
