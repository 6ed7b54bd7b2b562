/**
 * From an error to an answer: `{"detail": sentence}`, and the code of fleet/errors.ts in a header
 * (docs/wire.md#errors). The second part says how a request is refused that does not fit its
 * schema.
 */

import type { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { databaseUnavailable } from '../adapters/postgres/connect.ts';
import { intervalProblem } from '../fleet/durations.ts';
import { DeckhandError, ERRORS, type ErrorCode, isDeckhandError } from '../fleet/errors.ts';
import type { ApiEnv } from './environment.ts';

/** Exchanges pin error bodies exactly, so the code stands beside them. */
export const ERROR_CODE_HEADER = 'Deckhand-Error-Code';
/** Seconds a client is asked to wait after a 503. */
const RETRY_AFTER_SECONDS = 5;

export const TEXT = Object.freeze({
  unauthenticated: 'Could not validate credentials',
  forbidden: 'Insufficient permissions',
  passwordChange: 'Password change required before accessing this resource',
  structure: 'Bad Request: Schema structural violation (wrong type, extra fields, or invalid length).',
  invalidIni: 'Invalid INI config',
  invalidParameters: 'Invalid request parameters',
  mediaType: 'Unsupported Media Type — Content-Type must be application/json',
  notFound: 'Not Found',
  methodNotAllowed: 'Method Not Allowed',
  noDeployment: 'No active deployment',
  internal: 'Internal Server Error',
});

/** The fixed text of a 422, by path. */
export const unprocessable = (path: string): DeckhandError =>
  new DeckhandError('InvalidParameters', path.includes('/deckies/deploy') ? TEXT.invalidIni : TEXT.invalidParameters);

/** A 429; slowapi's `error` key stands beside `detail`. */
export class TooManyAttempts extends DeckhandError {
  readonly retryAfterSeconds: number;
  constructor(sentence: string, retryAfterSeconds: number) {
    super('TooManyAttempts', sentence);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The errors of libraries, in our own words; null for an unexpected error. */
function foreseen(error: unknown): DeckhandError | null {
  if (isDeckhandError(error)) return ERRORS[error.code].status === null ? null : error;
  if (error instanceof HTTPException && error.status === 415)
    return new DeckhandError('UnsupportedMediaType', TEXT.mediaType);
  // A library's own refusal of a request.
  if (error instanceof HTTPException && error.status < 500) return new DeckhandError('InvalidRequest', TEXT.structure);
  return databaseUnavailable(error);
}

function headersOf(error: DeckhandError): Record<string, string> {
  const headers: Record<string, string> = { [ERROR_CODE_HEADER]: error.code };
  if (error.code === 'Unauthenticated') headers['WWW-Authenticate'] = 'Bearer';
  if (ERRORS[error.code].status === 503) headers['Retry-After'] = String(RETRY_AFTER_SECONDS);
  if (error instanceof TooManyAttempts) headers['Retry-After'] = String(error.retryAfterSeconds);
  return headers;
}

/** Hono's `onError`: answers, and logs an unexpected error with its stack. */
export function answerError(error: unknown, c: Context<ApiEnv>): Response {
  const known = foreseen(error);
  if (known === null) {
    c.var.log.error({ err: error }, 'not foreseen');
    return c.json({ detail: TEXT.internal, error_id: c.var.requestId }, 500, { [ERROR_CODE_HEADER]: 'Internal' });
  }
  const headers = headersOf(known);
  if (known.code === 'Unavailable') c.var.log.warn({ err: known }, 'unavailable');
  if (known.code === 'UnsupportedMediaType') return c.text(known.message, 415, headers);
  if (known instanceof TooManyAttempts) return c.json({ error: known.message, detail: known.message }, 429, headers);
  return c.json(
    { detail: known.message },
    (ERRORS[known.code as ErrorCode].status ?? 500) as ContentfulStatusCode,
    headers,
  );
}

/**
 * What a request earns that does not fit its schema: 400 for its structure, 422 for its values. The
 * texts are fixed, but where a check of our own has a sentence.
 */

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

/**
 * Missing, unknown, no string where one belongs, or a string that is too short; all else is about
 * values.
 */
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
