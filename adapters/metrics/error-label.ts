/** Error codes as label values: those of the one table, so that their number is bounded. */
import { ERRORS, isDeckhandError } from '../../fleet/errors.ts';

const OTHER = 'other';

/** The code of a thrown error. */
export const codeOfError = (error: unknown): string => (isDeckhandError(error) ? error.code : OTHER);

/** The code that a row's error ("Code: sentence") begins with. */
export function codeOfText(text: string): string {
  const code = /^(\w+):/.exec(text)?.[1] ?? '';
  return Object.hasOwn(ERRORS, code) ? code : OTHER;
}
