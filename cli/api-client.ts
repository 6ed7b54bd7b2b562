/** The operators' API over HTTP: logs in by itself, keeps the token in memory only, and tells "no answer" from "no". */
import createClient, { type Client } from 'openapi-fetch';
import type { paths } from './api.d.ts';
import type { Connection } from './connection.ts';
import { CliError, EXIT } from './errors.ts';
import { requestAll } from './http.ts';

/** A DELETE may take 15 s by contract; anything that takes twice as long has died. */
const REQUEST_TIMEOUT_MS = 30_000;

/** The API gave no answer: refused, reset, timed out, or 503. Trying again may help; `retryAfterMs` when it said when. */
export class ApiUnreachable extends CliError {
  override readonly name = 'ApiUnreachable';
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
  override readonly name = 'ApiRefusal';
  readonly status: number;
  constructor(status: number, message: string, code: string | null) {
    super(status >= 500 ? EXIT.couldNotAsk : EXIT.refused, message, code === null ? {} : { code });
    this.status = status;
  }
}

export const isUnreachable = (error: unknown): error is ApiUnreachable =>
  error instanceof Error && error.name === 'ApiUnreachable';
export const isRefusal = (error: unknown): error is ApiRefusal => error instanceof Error && error.name === 'ApiRefusal';

/** The API as its own document describes it: `api.GET('/api/v1/fleet')`. */
type Api = Client<paths>;

interface Asked<T> {
  readonly data?: T;
  readonly response: Response;
}

interface ApiAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface ApiClient {
  /** Asks with a token. Throws ApiUnreachable, ApiRefusal, or CliError (255) when the credentials don't do. */
  call<T>(ask: (api: Api) => Promise<Asked<T>>): Promise<ApiAnswer<T>>;
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

  const connected = (): Connection => {
    connection ??= connect();
    return connection;
  };

  /** Returns what was asked for, or a 401. */
  const exchange = async (request: Request): Promise<Response> => {
    let answer: Response;
    try {
      answer = await answerOf(connected(), request, interrupted);
    } catch (error) {
      connection = null;
      throw error;
    }
    heard = true;
    if (answer.ok || answer.status === 401) return answer;
    throw await refusalOf(answer, request);
  };

  const send = async <T>(ask: (api: Api) => Promise<Asked<T>>, bearer: string | null): Promise<Asked<T>> => {
    const authorization = bearer === null ? {} : { authorization: `Bearer ${bearer}` };
    const { apiUrl } = connected();
    try {
      const headers = { accept: 'application/json', ...authorization };
      return await ask(createClient<paths>({ baseUrl: apiUrl, fetch: exchange, headers }));
    } catch (error) {
      if (error instanceof SyntaxError)
        throw new CliError(EXIT.couldNotAsk, `What answers at ${apiUrl} is no API of a master: it sends no JSON.`);
      throw error;
    }
  };

  const login = async (): Promise<string> => {
    const { apiUrl, credentials, loginKey } = connected();
    if ('token' in credentials) return credentials.token;
    if ('missing' in credentials) throw noCredentials(credentials.missing);
    const { username, password } = credentials;
    const header = loginKey === undefined ? {} : { 'deckhand-login-key': loginKey };
    const request = { body: { username, password }, params: { header } };
    const { data } = await send((api) => api.POST('/api/v1/auth/login', request), null);
    if (data) return data.access_token;
    throw noCredentials(`${apiUrl} does not accept the password of ${username}.`);
  };

  return {
    get heard() {
      return heard;
    },
    async call<T>(ask: (api: Api) => Promise<Asked<T>>) {
      const fresh = token === null;
      token ??= await login();
      let answer = await send(ask, token);
      if (answer.response.status === 401 && !fresh) {
        token = await login();
        answer = await send(ask, token);
      }
      const { status, headers } = answer.response;
      if (status !== 401) return { status, headers, body: answer.data as T };
      token = null;
      throw noCredentials('The master does not accept the token (401).');
    },
  };
}

const noCredentials = (message: string): CliError =>
  new CliError(EXIT.couldNotAsk, message, {
    advice: 'Set DECKHAND_TOKEN, or DECKHAND_USER and DECKHAND_PASSWORD; for the stack of this directory unset them.',
    code: 'Unauthenticated',
  });

async function answerOf({ apiUrl, ca }: Connection, request: Request, interrupted: AbortSignal): Promise<Response> {
  const { method } = request;
  const body = request.body === null ? {} : { body: await request.text() };
  const headers = Object.fromEntries(request.headers);
  const signal = AbortSignal.any([interrupted, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
  try {
    return await requestAll(new URL(request.url), { method, headers, signal, ca, ...body });
  } catch (error) {
    interrupted.throwIfAborted();
    throw new ApiUnreachable(`The API at ${apiUrl} does not answer: ${reasonOf(error)}.`, null, error);
  }
}

async function refusalOf(answer: Response, { method, url }: Request): Promise<CliError> {
  const { detail, code } = errorBody(await answer.text());
  const sentence = detail ?? `${method} ${new URL(url).pathname} was answered with status ${answer.status}.`;
  if (answer.status === 503) return new ApiUnreachable(sentence, retryAfter(answer.headers));
  const location = answer.headers.get('location');
  if (answer.status < 400)
    return new CliError(EXIT.couldNotAsk, `The API sends the command elsewhere: to ${location ?? 'no address'}.`, {
      advice: 'Name that address with --api or DECKHAND_API_URL.',
    });
  return new ApiRefusal(answer.status, sentence, answer.headers.get('deckhand-error-code') ?? code);
}

/** Of a body that is no JSON, its beginning is the sentence. */
function errorBody(text: string): { readonly detail: string | null; readonly code: string | null } {
  try {
    const { detail, code } = JSON.parse(text) ?? {};
    return { detail: typeof detail === 'string' ? detail : null, code: typeof code === 'string' ? code : null };
  } catch {
    return { detail: text === '' ? null : text.slice(0, 500), code: null };
  }
}

function retryAfter(headers: Headers): number | null {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}

/** An error hides the reason in its causes; an aggregate (two addresses tried) in its parts. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${REQUEST_TIMEOUT_MS / 1000} s`;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (error.cause !== undefined) return reasonOf(error.cause);
  return error.message || code || error.name;
}
