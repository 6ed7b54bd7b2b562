/**
 * The operators' API as one Hono app, built from injected ports: tests call it in-process, main.ts
 * serves it.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import { cors } from 'hono/cors';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { requestId } from 'hono/request-id';
import { traceRequests } from '../adapters/tracing/tracing.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { audit } from './audit.ts';
import {
  type AccessTokens,
  createAccessTokens,
  createGuard,
  createPasswords,
  FailureLimit,
  OpenStreams,
} from './auth.ts';
import type { AddRoutes, ApiDependencies, RouteDependencies } from './dependencies.ts';
import type { ApiEnv } from './environment.ts';
import { answerError, ERROR_CODE_HEADER, refusal, TEXT } from './errors.ts';
import { accessLog, answerInTime, countRequests, hasBody, readBody, secureHeaders } from './middleware.ts';
import { addAuditRoutes } from './routes/audit.ts';
import { addAuthRoutes } from './routes/auth.ts';
import { addCatalogueRoutes } from './routes/catalogue.ts';
import { addConvergenceRoutes } from './routes/convergence.ts';
import { addDeckyRoutes, addTeardownRoutes } from './routes/deckies.ts';
import { addDeploymentRoutes } from './routes/deployments.ts';
import { addDocsRoutes } from './routes/docs.ts';
import { addSwarmBundleRoutes, addSwarmEnrollmentRoutes } from './routes/enrollments.ts';
import { addEventRoutes } from './routes/events.ts';
import { addMutationRoutes } from './routes/mutations.ts';
import { addSettingsRoutes, addUserRoutes } from './routes/settings.ts';
import { addDashboardRoutes, addHealthRoutes, addMetricsRoute, addSystemRoutes } from './routes/status.ts';
import { addSwarmMoveRoutes, addSwarmRoutes } from './routes/swarm.ts';

/** 10 wrong logins in 5 minutes, 5 wrong old passwords in one (docs/wire.md#login-and-tokens). */
const LOGIN_LIMIT = { failures: 10, windowMs: 300_000 };
const PASSWORD_LIMIT = { failures: 5, windowMs: 60_000 };

const ROUTES: readonly AddRoutes[] = [
  addAuthRoutes,
  addAuditRoutes,
  addDeckyRoutes,
  addTeardownRoutes,
  addMutationRoutes,
  addConvergenceRoutes,
  addDeploymentRoutes,
  addEventRoutes,
  addDashboardRoutes,
  addCatalogueRoutes,
  addSettingsRoutes,
  addUserRoutes,
  addSystemRoutes,
  addSwarmRoutes,
  addSwarmMoveRoutes,
  addSwarmEnrollmentRoutes,
  addSwarmBundleRoutes,
  addHealthRoutes,
  addMetricsRoute,
  addDocsRoutes,
];

function routeDependencies(deps: ApiDependencies): RouteDependencies {
  const accessTokens = createAccessTokens(deps.jwt);
  return {
    ...deps,
    accessTokens,
    guard: createGuard(accessTokens, deps.users),
    passwords: createPasswords(),
    streams: new OpenStreams(),
    loginLimit: deps.limiterEnabled ? new FailureLimit(LOGIN_LIMIT) : null,
    passwordLimit: deps.limiterEnabled ? new FailureLimit(PASSWORD_LIMIT) : null,
  };
}

function addMiddleware(app: OpenAPIHono<ApiEnv>, deps: ApiDependencies, accessTokens: AccessTokens): void {
  app.use(
    requestId({ limitLength: 64 }),
    traceRequests,
    accessLog(deps.logger),
    countRequests(deps.metrics, 'operators'),
    secureHeaders(deps.overTls ?? false),
  );
  if (deps.corsOrigins.length > 0)
    app.use(
      '/api/*',
      cors({
        origin: [...deps.corsOrigins],
        allowHeaders: ['Authorization', 'Content-Type', 'Last-Event-ID', 'Idempotency-Key'],
        allowMethods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
        exposeHeaders: ['X-Request-Id', ERROR_CODE_HEADER, 'Deckhand-Deployment-Id', 'Location', 'Retry-After'],
      }),
    );
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) =>
        c.json({ detail: TEXT.methodNotAllowed }, 405, {
          Allow: methods.join(', '),
          [ERROR_CODE_HEADER]: 'MethodNotAllowed',
        }),
    }),
  );
  app.use('/api/*', readBody(accessTokens));
  app.use('/api/v1/*', async (_, next) => {
    const missing = deps.notReady();
    if (missing !== null) throw new DeckhandError('Unavailable', missing);
    await next();
  });
  const knownUser = async (name: string) => (await deps.users.byUsername(name))?.username ?? null;
  app.use('/api/v1/*', audit(deps.audit && { store: deps.audit, listener: 'operators', knownUser }));
  app.use('/api/v1/*', answerInTime(deps.deadlines));
}

/** Builds the app; nothing is opened or started. */
export function createApp(deps: ApiDependencies): OpenAPIHono<ApiEnv> {
  const app = new OpenAPIHono<ApiEnv>({
    defaultHook: (result, c) => {
      // Only where a body is required. Its fields may all be optional, and "nothing" would mean
      // "everything".
      if (result.target === 'json' && !hasBody(c)) throw new DeckhandError('InvalidRequest', TEXT.structure);
      if (!result.success) throw refusal(result.error.issues, Reflect.get(result, 'data'), c.req.path);
    },
  });
  app.onError(answerError);
  app.notFound((c) => c.json({ detail: TEXT.notFound }, 404, { [ERROR_CODE_HEADER]: 'NotFound' }));
  const routes = routeDependencies(deps);
  addMiddleware(app, deps, routes.accessTokens);
  for (const add of ROUTES) add(app, routes);
  return app;
}
