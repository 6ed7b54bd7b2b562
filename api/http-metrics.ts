/** Counts and times every request. The label is the pattern of the route, so that no path becomes a series of its own. */
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { ApiMetrics, Listener } from '../adapters/metrics/metrics.ts';
import type { ApiEnv } from './environment.ts';

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
