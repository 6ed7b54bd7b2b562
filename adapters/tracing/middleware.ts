/** A span for each request that a Hono app answers, named by the route's pattern. */
import { SpanStatusCode } from '@opentelemetry/api';
import type { Context, Next } from 'hono';
import { routePath } from 'hono/route';
import { answering } from './spans.ts';

/** Asked for every few seconds by machines. */
const UNTRACED = new Set(['/healthz', '/readyz', '/metrics', '/health', '/swarm/health']);

export async function traceRequests(c: Context, next: Next): Promise<void> {
  if (UNTRACED.has(c.req.path)) return next();
  const { method } = c.req;
  const traceparent = c.req.header('traceparent');
  const tracestate = c.req.header('tracestate');
  const headers = { ...(traceparent ? { traceparent } : {}), ...(tracestate ? { tracestate } : {}) };
  await answering(method, headers, async (span) => {
    await next();
    const path = routePath(c, -1);
    const route = path.includes('*') ? '' : path;
    if (route !== '') span.updateName(`${method} ${route}`).setAttribute('http.route', route);
    span.setAttribute('http.request.method', method).setAttribute('http.response.status_code', c.res.status);
    if (c.res.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  });
}
