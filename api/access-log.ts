/** One log line a request, with its id; never a query, a header or a body. */
import type { Context, MiddlewareHandler } from 'hono';
import type { Logger } from '../lib/logger.ts';
import { withinRequest } from '../lib/request-context.ts';
import { subjectOf } from './audit/fields.ts';
import type { ApiEnv } from './environment.ts';

/** Asked for every few seconds by machines: a line each only when it goes wrong. */
const ROUTINE = new Set(['/healthz', '/readyz', '/metrics', '/health', '/swarm/health', '/swarm/heartbeat']);

/** A bundle's address is its one-shot token. */
const shown = (path: string): string => path.replace(/(\/enroll-bundle\/)[^/]+/, '$1[cut]');

const DEPLOYMENT = /^\/api\/v1\/deployments\/([^/]+)/;

/** What a line is about, by the names that the logs of worker and agent use too; a path may name a decky that is none. */
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
