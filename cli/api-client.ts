/** The operators' API over HTTP: logs in by itself, keeps the token in memory only, and tells "no answer" from "no". */
import { LOGIN_KEY_HEADER } from '../adapters/login-key.ts';
import type { Connection } from './connection.ts';
import { CliError, EXIT } from './errors.ts';

/** A DELETE may take 15 s by contract; anything that takes twice as long has died. */
const REQUEST_TIMEOUT_MS = 30_000;

/** The API gave no answer: refused, reset, timed out, or 503. Trying again may help; `retryAfterMs` when it said when. */
export class ApiUnreachable extends CliError {
  readonly retryAfterMs: number | null;
  constructor(message: string, retryAfterMs: number | null, cause?: unknown) {
    super(EXIT.couldNotAsk, message, {
      advice: 'See what is missing with `deckhand doctor`; start the stack with `npm start`.',
      cause,
    });
    this.retryAfterMs = retryAfterMs;
  }
}

/** The API answered with a status ≥ 400 that is neither 401 nor 503. */
export class ApiRefusal extends CliError {
  readonly status: number;
  constructor(status: number, message: string, code: string | null) {
    super(status >= 500 ? EXIT.couldNotAsk : EXIT.refused, message, code === null ? {} : { code });
    this.status = status;
  }
}

interface ApiRequest {
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface ApiAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface ApiClient {
  /** Throws ApiUnreachable, ApiRefusal, or CliError (255) when the credentials don't do. A path starts with `/api/v1`. */
  request<T>(method: string, path: string, request?: ApiRequest): Promise<ApiAnswer<T>>;
  /** Whether the API has answered anything yet: one that never did is probably not there at all. */
  readonly heard: boolean;
}

/**
 * `connect` is asked at the start and after each lost connection, since a restarted stack may have moved.
 * Once `interrupted` is aborted, every request ends with its reason.
 */
export function createApiClient(connect: () => Connection, interrupted: AbortSignal): ApiClient {
  let connection: Connection | null = null;
  let token: string | null = null;
  let heard = false;

  const send = async (method: string, path: string, request: ApiRequest, bearer: string | null) => {
    connection ??= connect();
    try {
      const answer = await exchange(connection, method, path, request, bearer, interrupted);
      heard = true;
      return answer;
    } catch (error) {
      if (error instanceof ApiUnreachable) connection = null;
      throw error;
    }
  };

  const login = async (): Promise<string> => {
    connection ??= connect();
    const { apiUrl, credentials, loginKey } = connection;
    if ('token' in credentials) return credentials.token;
    if ('missing' in credentials) throw noCredentials(credentials.missing);
    const body = { username: credentials.username, password: credentials.password };
    const headers = loginKey === undefined ? {} : { [LOGIN_KEY_HEADER]: loginKey };
    const answer = await send('POST', '/api/v1/auth/login', { body, headers }, null);
    const { access_token } = (answer.body ?? {}) as { access_token?: unknown };
    if (answer.status === 200 && typeof access_token === 'string') return access_token;
    if (answer.status === 401) throw noCredentials(`${apiUrl} does not accept the password of ${body.username}.`);
    throw refusal(answer, 'POST /api/v1/auth/login');
  };

  return {
    get heard() {
      return heard;
    },
    async request<T>(method: string, path: string, request: ApiRequest = {}) {
      const fresh = token === null;
      token ??= await login();
      let answer = await send(method, path, request, token);
      if (answer.status === 401 && !fresh) {
        token = await login();
        answer = await send(method, path, request, token);
      }
      if (answer.status === 401) {
        token = null;
        throw noCredentials('The master does not accept the token (401).');
      }
      if (answer.status >= 400) throw refusal(answer, `${method} ${path}`);
      return answer as ApiAnswer<T>;
    },
  };
}

const noCredentials = (message: string): CliError =>
  new CliError(EXIT.couldNotAsk, message, {
    advice: 'Set DECKHAND_TOKEN, or DECKHAND_USER and DECKHAND_PASSWORD; for the stack of this directory unset them.',
    code: 'Unauthenticated',
  });

function refusal(answer: ApiAnswer<unknown>, what: string): CliError {
  const { detail, code } = (answer.body ?? {}) as { detail?: unknown; code?: unknown };
  const sentence = typeof detail === 'string' ? detail : `${what} was answered with status ${answer.status}.`;
  if (answer.status === 503) return new ApiUnreachable(sentence, retryAfter(answer.headers));
  const named = answer.headers.get('deckhand-error-code') ?? (typeof code === 'string' ? code : null);
  return new ApiRefusal(answer.status, sentence, named);
}

function retryAfter(headers: Headers): number | null {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}

function urlOf(apiUrl: string, path: string, query: ApiRequest['query']): URL {
  const url = new URL(apiUrl + path);
  for (const [key, value] of Object.entries(query ?? {}))
    for (const one of typeof value === 'string' ? [value] : value) url.searchParams.append(key, one);
  return url;
}

async function exchange(
  { apiUrl, fetch = globalThis.fetch }: Connection,
  method: string,
  path: string,
  request: ApiRequest,
  bearer: string | null,
  interrupted: AbortSignal,
): Promise<ApiAnswer<unknown>> {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const headers: Record<string, string> = { accept: 'application/json', ...request.headers };
  if (bearer !== null) headers.authorization = `Bearer ${bearer}`;
  if (request.body !== undefined) headers['content-type'] = 'application/json';
  try {
    const response = await fetch(urlOf(apiUrl, path, request.query), {
      method,
      headers,
      signal: AbortSignal.any([interrupted, timeout]),
      ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parseBody(text) };
  } catch (error) {
    interrupted.throwIfAborted();
    throw new ApiUnreachable(`The API at ${apiUrl} does not answer: ${reasonOf(error)}.`, null, error);
  }
}

function parseBody(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return { detail: text.slice(0, 500) };
  }
}

/** fetch hides the reason ("fetch failed") in its causes; an aggregate (two addresses tried) in its parts. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${REQUEST_TIMEOUT_MS / 1000} s`;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (error.cause !== undefined) return reasonOf(error.cause);
  return error.message || code || error.name;
}
