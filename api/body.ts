/**
 * Reads the body before anything else, never more of it than the limit: media type (415), size and JSON syntax (422) are
 * judged before authentication, as DECNET does (wire.md 1.1). The handlers read it again from Hono's cache.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { DeckhandError } from '../fleet/errors.ts';
import { LIMITS } from '../fleet/limits.ts';
import type { ApiEnv } from './environment.ts';
import { TEXT, unprocessable } from './errors.ts';

/** The longest INI, four bytes a character, and 64 KiB for the rest of the JSON. */
export const BODY_LIMIT_BYTES = LIMITS.iniCharacters * 4 + 64 * 1024;

const METHODS_WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** Says whether a body is announced, before a byte of it is read. */
const announcesBody = (c: Context): boolean =>
  c.req.header('transfer-encoding') !== undefined || Number(c.req.header('content-length') ?? 0) > 0;

const isJson = (c: Context): boolean =>
  (c.req.header('content-type') ?? '').trim().toLowerCase().startsWith('application/json');

const wrongMediaType = (): DeckhandError => new DeckhandError('UnsupportedMediaType', TEXT.mediaType);

function assertJson(bytes: ArrayBuffer, path: string): void {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw unprocessable(path);
  }
}

const limit = bodyLimit({
  maxSize: BODY_LIMIT_BYTES,
  onError: (c) => {
    throw unprocessable(c.req.path);
  },
});

export const readBody: MiddlewareHandler<ApiEnv> = async (c, next) => {
  if (!METHODS_WITH_BODY.has(c.req.method)) return next();
  if (announcesBody(c) && !isJson(c)) throw wrongMediaType();
  return limit(c, async () => {
    const bytes = await c.req.arrayBuffer();
    if (bytes.byteLength > 0) {
      if (!isJson(c)) throw wrongMediaType();
      assertJson(bytes, c.req.path);
    }
    await next();
  });
};
