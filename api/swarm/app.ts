/**
 * The swarm controller as a Hono app: what agents and operators find on 8770, and who has access
 * (docs/wire.md#the-swarm-controller).
 */
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { requestId } from 'hono/request-id';
import { traceRequests } from '../../adapters/tracing/tracing.ts';
import { MASTER_NAME, SWARMCTL_NAME } from '../../fleet/agent-wire.ts';
import { unreadableBody } from '../../fleet/encoding.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { audit } from '../audit.ts';
import { FailureLimit, type FailureLimitOptions } from '../auth.ts';
import type { ControllerDependencies } from '../dependencies.ts';
import type { ApiEnv } from '../environment.ts';
import { answerError, ERROR_CODE_HEADER, TEXT, TooManyAttempts } from '../errors.ts';
import { accessLog, answerInTime, countRequests } from '../middleware.ts';
import { addressOf, isLoopback, peerOf } from '../peer.ts';
import { enroll, join, renew } from './enrollment.ts';
import { heartbeat } from './heartbeat.ts';
import { check, deploy, listHosts, listReportedDeckies, removeHost, showHost, teardown } from './orders.ts';
import { Unprocessable } from './unprocessable.ts';

/** A status of some thousand deckies, or the errors of 500. */
export const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
/** Without a certificate, and not on this machine: a signing request, at most 16 KiB of text. */
export const STRANGER_BODY_LIMIT_BYTES = 64 * 1024;
/** Agents wait 10 s for an answer: they are told in time to come again. */
const AGENT_ANSWER_MS = 9_500;
/** By a user (docs/wire.md#the-swarm-controller). */
const REMOVALS = { failures: 20, windowMs: 60_000 };
/** Of one address: who has no token or certificate that counts. Each is an entry in the audit. */
const REFUSALS = { failures: 30, windowMs: 60_000 };
const HEALTH = { status: 'ok', role: 'swarm-controller' };

/** Builds the app; nothing is opened or started. */
export function createSwarmApp(deps: ControllerDependencies): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.onError((error, c) => {
    if (error instanceof Unprocessable) return c.json({ detail: error.problems }, 422);
    return answerError(error, c);
  });
  app.notFound((c) => c.json({ detail: TEXT.notFound }, 404, { [ERROR_CODE_HEADER]: 'NotFound' }));
  app.use(requestId({ limitLength: 64 }), traceRequests, accessLog(deps.logger), countRequests(deps.metrics, 'swarm'));
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
  app.get('/health', (c) => c.json(HEALTH));
  app.get('/swarm/health', (c) => c.json(HEALTH));
  app.get('/swarm/ca', (c) => c.body(deps.authority.caPem, 200, { 'content-type': 'application/x-pem-file' }));
  app.use(refuseUnreadable, limitBody(), async (_, next) => {
    const missing = deps.notReady();
    if (missing !== null) throw new DeckhandError('Unavailable', missing);
    await next();
  });
  app.use(audit(deps.audit && { store: deps.audit, listener: 'swarm', knownUser: async () => null }));
  for (const path of ['/swarm/heartbeat', '/swarm/join', '/swarm/renew'])
    app.use(path, answerInTime({ answerMs: AGENT_ANSWER_MS, operationMs: AGENT_ANSWER_MS }));
  app.post('/swarm/heartbeat', heartbeat(deps));
  const refusals = new FailureLimit(REFUSALS);
  app.post('/swarm/join', notAfter(refusals), join(deps));
  app.post('/swarm/renew', notAfter(refusals), renew(deps));
  addOperatorRoutes(app, deps);
  return app;
}

function addOperatorRoutes(app: Hono<ApiEnv>, deps: ControllerDependencies): void {
  const operator = [operatorAccess(deps.ownFingerprints), deps.guard({ role: 'admin' })] as const;
  app.post('/swarm/enroll', ...operator, enroll(deps));
  app.get('/swarm/hosts', ...operator, listHosts(deps));
  app.get('/swarm/hosts/:uuid', ...operator, showHost(deps));
  app.delete('/swarm/hosts/:uuid', ...operator, atMost(REMOVALS), removeHost(deps));
  app.post('/swarm/deploy', ...operator, deploy(deps));
  app.post('/swarm/teardown', ...operator, teardown(deps));
  app.post('/swarm/check', ...operator, check(deps));
  app.get('/swarm/deckies', ...operator, listReportedDeckies(deps));
}

/**
 * The media type itself is not asked for, as stock FastAPI's is not by clients of this listener.
 */
const refuseUnreadable: MiddlewareHandler<ApiEnv> = async function refuseUnreadable(c, next) {
  const contentType = c.req.header('content-type');
  const detail = unreadableBody({ contentType, contentEncoding: c.req.header('content-encoding') });
  return detail === null ? next() : c.json({ detail }, 415, { [ERROR_CODE_HEADER]: 'UnsupportedMediaType' });
};

const bodyOfAtMost = (maxSize: number): MiddlewareHandler<ApiEnv> =>
  bodyLimit({ maxSize, onError: (c) => c.json({ detail: `The body is larger than ${maxSize} bytes.` }, 413) });

function limitBody(): MiddlewareHandler<ApiEnv> {
  const known = bodyOfAtMost(BODY_LIMIT_BYTES);
  const stranger = bodyOfAtMost(STRANGER_BODY_LIMIT_BYTES);
  return async function limitBody(c, next) {
    const address = addressOf(c);
    // Requests that are made in-process have no address.
    const isKnown = peerOf(c) !== null || address === null || isLoopback(address);
    return (isKnown ? known : stranger)(c, async () => {
      // Whoever reads JSON first leaves to all others what JSON.parse made of the bytes.
      await c.req.arrayBuffer();
      await next();
    });
  };
}

function assertWithin(limit: FailureLimit, key: readonly string[], requests: string): void {
  const wait = limit.retryAfterSeconds(key);
  if (wait !== null) throw new TooManyAttempts(`Too many ${requests}. Try again in ${wait} s.`, wait);
}

/** So many refusals (403) of an address in the window, then 429. */
function notAfter(limit: FailureLimit): MiddlewareHandler<ApiEnv> {
  return async function notAfter(c, next) {
    const key = [addressOf(c) ?? 'in-process'];
    assertWithin(limit, key, 'refused requests of this address');
    await next();
    if (c.res.status === 403) limit.recordFailure(key);
  };
}

/** So many requests of a user in the window, then 429. */
function atMost(bounds: FailureLimitOptions): MiddlewareHandler<ApiEnv> {
  const limit = new FailureLimit(bounds);
  return async function atMost(c, next) {
    const key = [c.var.user.uuid];
    assertWithin(limit, key, 'requests');
    limit.recordFailure(key);
    await next();
  };
}

/** Who may use the operator routes: the master itself, or this machine without a certificate. */

const OPERATOR_TEXT = 'operator certificate required';

/** An administrator's token is needed besides. */
export const operatorAccess = (ownFingerprints: () => Promise<ReadonlySet<string>>): MiddlewareHandler<ApiEnv> =>
  async function operatorAccess(c, next) {
    const peer = peerOf(c);
    const isOurs =
      peer === null
        ? isLoopback(addressOf(c))
        : [MASTER_NAME, SWARMCTL_NAME].includes(peer.commonName) && (await ownFingerprints()).has(peer.fingerprint);
    if (!isOurs) throw new DeckhandError('Forbidden', OPERATOR_TEXT);
    await next();
  };
