/** Which fixed text a request earns that does not fit its schema: 400 for its structure, 422 for its values (wire.md 1.1). */
import type { z } from '@hono/zod-openapi';
import { DeckhandError } from '../fleet/errors.ts';
import { TEXT, unprocessable } from './errors.ts';

type Issue = z.core.$ZodIssue;

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

/** The refusal of a request that its schema refused. */
export function refusal(issues: readonly Issue[], value: unknown, path: string): DeckhandError {
  return issues.some((issue) => isStructural(issue, value))
    ? new DeckhandError('InvalidRequest', TEXT.structure)
    : unprocessable(path);
}
