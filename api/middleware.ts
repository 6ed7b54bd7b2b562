/**
 * What every request goes through, in this order: the access log, the metrics, the secure headers,
 * the body, the deadline. The audit (audit.ts) and the guard of a route (auth.ts) have their own
 * files.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { routePath } from 'hono/route';
import type { ApiMetrics, Listener } from '../adapters/metrics/metrics.ts';
import { isJsonType, jsonEncodingProblem, unreadableBody } from '../fleet/encoding.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { LIMITS } from '../fleet/limits.ts';
import type { Logger } from '../lib/logger.ts';
import { withinRequest } from '../lib/request-context.ts';
import { subjectOf } from './audit.ts';
import { type AccessTokens, bearerOf } from './auth.ts';
import type { ApiEnv } from './environment.ts';
import { TEXT, unprocessable } from './errors.ts';

/** One log line a request, with its id; never a query, a header or a body. */

/** Machines ask for these every few seconds. They get a line only when something goes wrong. */
const ROUTINE = new Set(['/healthz', '/readyz', '/metrics', '/health', '/swarm/health', '/swarm/heartbeat']);

/** A bundle's address is its one-shot token. */
const shown = (path: string): string => path.replace(/(\/enroll-bundle\/)[^/]+/, '$1[cut]');

const DEPLOYMENT = /^\/api\/v1\/deployments\/([^/]+)/;

/**
 * What a line is about, by the names that the logs of worker and agent use too; a path may name a
 * decky that is none.
 */
function about(c: Context<ApiEnv>): Record<string, string> {
  const deployment = c.res.headers.get('deckhand-deployment-id') ?? DEPLOYMENT.exec(c.req.path)?.[1];
  const subject = subjectOf(c.req.path);
  return {
    ...(deployment === undefined ? {} : { deployment_id: deployment }),
    ...(subject?.kind === 'decky' || subject?.kind === 'host' ? { [subject.kind]: subject.name } : {}),
  };
}

export const accessLog = (logger: Logger): MiddlewareHandler<ApiEnv> =>
  async function accessLog(c, next) {
    const started = performance.now();
    const log = logger.child({ request_id: c.var.requestId });
    c.set('log', log);
    await withinRequest(c.var.requestId, next);
    const ms = Math.round(performance.now() - started);
    const { method, path } = c.req;
    const line = { method, path: shown(path), status: c.res.status, ms, user: c.get('user')?.username, ...about(c) };
    if (ROUTINE.has(path) && (c.res.status < 400 || c.res.status === 503)) log.debug(line, 'request');
    else log.info(line, 'request');
  };

/**
 * Counts and times every request. The label is the pattern of the route, so that no path becomes a
 * series of its own.
 */

/** What no route took: unknown paths, and known ones with another method. */
const NO_ROUTE = 'none';

export const countRequests = (metrics: ApiMetrics | undefined, listener: Listener): MiddlewareHandler<ApiEnv> =>
  async function countRequests(c, next) {
    const began = performance.now();
    await next();
    if (!metrics) return;
    const path = routePath(c, -1);
    metrics.finished({
      listener,
      method: c.req.method,
      route: path === '' || path.includes('*') ? NO_ROUTE : path,
      status: c.res.status,
      seconds: (performance.now() - began) / 1_000,
    });
  };

/**
 * Headers that keep a browser from doing more with an answer than show it; on every answer of the
 * operators' listener. `hono/secure-headers` overwrites what a route has set, and /docs needs a
 * policy of its own; so these are set here.
 */

/**
 * Nothing that the API answers is to run, be framed, or be kept by a cache. Routes that need more
 * say so themselves.
 */
export const SECURE_HEADERS: Readonly<Record<string, string>> = Object.freeze({
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
});

/** A year; sent only where the listener itself speaks TLS. */
export const HSTS = 'max-age=31536000';

export const secureHeaders = (overTls: boolean): MiddlewareHandler<ApiEnv> =>
  async function secureHeaders(c, next) {
    await next();
    const { headers } = c.res;
    for (const [name, value] of Object.entries(SECURE_HEADERS)) if (!headers.has(name)) headers.set(name, value);
    if (overTls) headers.set('Strict-Transport-Security', HSTS);
  };

/**
 * The deadline: a request is answered with 503 where PostgreSQL or Temporal hang instead of
 * failing.
 */

export interface AnswerDeadlines {
  readonly answerMs: number;
  /** For deploys and teardowns, which have deadlines of their own that end earlier. */
  readonly operationMs: number;
}

export const ANSWER_DEADLINES: AnswerDeadlines = Object.freeze({ answerMs: 10_000, operationMs: 60_000 });

/** Settles as `work` does, or rejects with `late()` after `ms`. */
export async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** What was asked to change something may have been done. */
const adviceFor = (c: Context): string =>
  ['GET', 'HEAD'].includes(c.req.method) ? 'Try again.' : 'Look at the state before you try again.';

const isOperation = (c: Context): boolean =>
  (c.req.method === 'POST' || c.req.method === 'DELETE') && c.req.path.startsWith('/api/v1/deckies/');

export const answerInTime = (deadlines: AnswerDeadlines): MiddlewareHandler<ApiEnv> =>
  async function answerInTime(c, next) {
    const ms = isOperation(c) ? deadlines.operationMs : deadlines.answerMs;
    await within(
      ms,
      next(),
      () =>
        new DeckhandError(
          'Unavailable',
          `No answer from PostgreSQL or Temporal within ${ms / 1000} s. ${adviceFor(c)}`,
        ),
    );
  };

/**
 * Reads the body before anything else, never more of it than the limit: media type (415), size and
 * JSON syntax (422) are judged before authentication, as DECNET does (docs/wire.md#errors). The
 * handlers read it again from Hono's cache.
 */

/** The longest INI, four bytes a character, and 64 KiB for the rest of the JSON. */
export const BODY_LIMIT_BYTES = LIMITS.iniCharacters * 4 + 64 * 1024;

/**
 * Of whom shows no token of ours: all that is theirs is a login, and their bodies are in memory
 * before they are refused.
 */
export const STRANGER_BODY_LIMIT_BYTES = 64 * 1024;

const METHODS_WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** Says whether a body is announced, before a byte of it is read. */
const announcesBody = (c: Context): boolean =>
  c.req.header('transfer-encoding') !== undefined || Number(c.req.header('content-length') ?? 0) > 0;

const isJson = (c: Context): boolean => isJsonType(c.req.header('content-type'));

const wrongMediaType = (): DeckhandError => new DeckhandError('UnsupportedMediaType', TEXT.mediaType);

/** Throws UnsupportedMediaType for a body that is announced as something that is not read. */
function assertReadable(c: Context): void {
  if (!isJson(c)) throw wrongMediaType();
  const contentType = c.req.header('content-type');
  const problem = unreadableBody({ contentType, contentEncoding: c.req.header('content-encoding') });
  if (problem !== null) throw new DeckhandError('UnsupportedMediaType', problem);
}

function assertJson(bytes: Uint8Array, path: string): void {
  const encoding = jsonEncodingProblem(bytes);
  if (encoding !== null) throw new DeckhandError('InvalidParameters', encoding.sentence);
  try {
    JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw unprocessable(path);
  }
}

/**
 * From here on a request announces a body when it has one, and JSON as the validators know it. An
 * announced body without a byte counts as none: the validators would try to parse it.
 */
function restate(c: Context<ApiEnv>, bytes: Uint8Array<ArrayBuffer>): void {
  const headers = new Headers(c.req.raw.headers);
  if (bytes.byteLength > 0) headers.set('content-type', 'application/json');
  else for (const name of ['content-type', 'content-length', 'transfer-encoding']) headers.delete(name);
  c.req.raw = new Request(c.req.raw, { headers, body: bytes });
}

/** Of a request that {@link readBody} has read. */
export const hasBody = (c: Context): boolean => c.req.header('content-type') !== undefined;

const limit = bodyLimit({
  maxSize: BODY_LIMIT_BYTES,
  onError: (c) => {
    throw unprocessable(c.req.path);
  },
});

/**
 * Keeps no more than a stranger's share in memory, and lets the rest pass, up to what a user may
 * send: a client that is still sending hears no answer.
 */
async function readOfStranger(c: Context<ApiEnv>): Promise<void> {
  if (!c.req.raw.body || Number(c.req.header('content-length') ?? 0) > BODY_LIMIT_BYTES) return;
  let kept: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of c.req.raw.body) {
    size += chunk.length;
    if (size > BODY_LIMIT_BYTES) break;
    if (size <= STRANGER_BODY_LIMIT_BYTES) kept.push(chunk);
    else kept = [];
  }
  if (size > STRANGER_BODY_LIMIT_BYTES) throw unprocessable(c.req.path);
  c.req.raw = new Request(c.req.raw, { body: Buffer.concat(kept) });
}

/**
 * Whether the token still counts is the guard's to say, after the body: here it need be one that
 * was issued.
 */
export function readBody(accessTokens: Pick<AccessTokens, 'verify'>): MiddlewareHandler<ApiEnv> {
  return async function readBody(c, next) {
    if (!METHODS_WITH_BODY.has(c.req.method)) return next();
    if (announcesBody(c)) assertReadable(c);
    const token = bearerOf(c.req.header('authorization'));
    const isUser = token !== null && (await accessTokens.verify(token)) !== null;
    if (!isUser) await readOfStranger(c);
    return limit(c, async () => {
      const bytes = new Uint8Array(await c.req.arrayBuffer());
      if (bytes.byteLength > 0) {
        assertReadable(c);
        assertJson(bytes, c.req.path);
      }
      restate(c, bytes);
      await next();
    });
  };
}
