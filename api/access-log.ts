/** One log line a request, with its id; never a query, a header or a body. */
import type { MiddlewareHandler } from 'hono';
import type { Logger } from '../adapters/logger.ts';
import type { ApiEnv } from './environment.ts';

/** Asked for every few seconds by machines: a line each only when it goes wrong. */
const ROUTINE = new Set(['/healthz', '/readyz', '/metrics', '/health', '/swarm/health', '/swarm/heartbeat']);

export const accessLog = (logger: Logger): MiddlewareHandler<ApiEnv> =>
  async function accessLog(c, next) {
    const started = performance.now();
    const log = logger.child({ request_id: c.var.requestId });
    c.set('log', log);
    await next();
    const ms = Math.round(performance.now() - started);
    const { method, path } = c.req;
    const line = { method, path, status: c.res.status, ms, user: c.get('user')?.username };
    if (ROUTINE.has(path) && (c.res.status < 400 || c.res.status === 503)) log.debug(line, 'request');
    else log.info(line, 'request');
  };
