/** What is shown of work that is retried: the step, until when, and why. */

import { LONGEST_STEP } from './agent-says.ts';

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
