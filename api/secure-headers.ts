/** Headers that keep a browser from doing more with an answer than show it; on every answer of the operators' listener. */
import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from './environment.ts';

/** Nothing that the API answers is to run, be framed, or be kept by a cache. Routes that need more say so themselves. */
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
