/** From an error to an answer: `{"detail": sentence}`, and the code of the one table in a header (docs/wire.md#errors). */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { databaseUnavailable } from '../adapters/postgres/connect.ts';
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

/** Errors of libraries in the house's own words; null for what nobody foresaw. */
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

/** Hono's `onError`: answers, and logs what was not foreseen with its stack. */
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
