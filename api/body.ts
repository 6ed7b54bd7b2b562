/**
 * Reads the body before anything else, never more of it than the limit: media type (415), size and JSON syntax (422) are
 * judged before authentication, as DECNET does (docs/wire.md#errors). The handlers read it again from Hono's cache.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { isJsonType, jsonEncodingProblem, unreadableBody } from '../fleet/encoding.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { LIMITS } from '../fleet/limits.ts';
import type { AccessTokens } from './auth/access-tokens.ts';
import { bearerOf } from './auth/guard.ts';
import type { ApiEnv } from './environment.ts';
import { TEXT, unprocessable } from './errors.ts';

/** The longest INI, four bytes a character, and 64 KiB for the rest of the JSON. */
export const BODY_LIMIT_BYTES = LIMITS.iniCharacters * 4 + 64 * 1024;

/** Of whom shows no token of ours: all that is theirs is a login, and their bodies are in memory before they are refused. */
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
 * From here on a request announces a body when it has one, and JSON as the validators know it. An announced body without a
 * byte counts as none: the validators would try to parse it.
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
 * Keeps no more than a stranger's share in memory, and lets the rest pass, up to what a user may send: a client that is still
 * sending hears no answer.
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

/** Whether the token still counts is the guard's to say, after the body: here it need be one that was issued. */
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
