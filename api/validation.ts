/**
 * What a request earns that does not fit its schema: 400 for its structure, 422 for its values. The texts are fixed, but where
 * a check of our own has a sentence.
 */
import type { z } from '@hono/zod-openapi';
import { intervalProblem } from '../fleet/durations.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { TEXT, unprocessable } from './errors.ts';

type Issue = z.core.$ZodIssue;

/** Marks an issue whose message is made for the client; those of the library are not. */
const IS_SENTENCE = 'isSentence';

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let here = value;
  for (const key of path) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = Reflect.get(here, key);
  }
  return here;
}

/** Missing, unknown, no string where one belongs, or a string that is too short; all else is about values. */
function isStructural(issue: Issue, value: unknown): boolean {
  if (issue.code === 'unrecognized_keys') return true;
  if (issue.path.length > 0 && valueAt(value, issue.path) === undefined) return true;
  if (issue.code === 'invalid_type') return issue.expected === 'string';
  return issue.code === 'too_small' && issue.origin === 'string';
}

const isSentence = (issue: Issue): boolean => issue.code === 'custom' && issue.params?.[IS_SENTENCE] === true;

/** The refusal of a request that its schema refused. */
export function refusal(issues: readonly Issue[], value: unknown, path: string): DeckhandError {
  if (issues.some((issue) => isStructural(issue, value))) return new DeckhandError('InvalidRequest', TEXT.structure);
  const [first, ...more] = issues;
  if (first === undefined || ![first, ...more].every(isSentence)) return unprocessable(path);
  return new DeckhandError('InvalidParameters', `${first.path.join('.')}: ${first.message}`);
}

/** Of a text: its issue is the sentence of the interval's rule. */
export function checkInterval(text: string, context: z.core.$RefinementCtx<string>): void {
  const message = intervalProblem(text);
  if (message !== null) context.addIssue({ code: 'custom', message, params: { [IS_SENTENCE]: true } });
}
