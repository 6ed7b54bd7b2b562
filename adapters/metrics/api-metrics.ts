/** Metrics of the API: requests on both listeners, logins, heartbeats. Labels are bounded: routes are patterns. */
import { Counter, Histogram, type Registry } from 'prom-client';
import { ANSWER_BUCKETS, createRegistry } from './registry.ts';

export type Listener = 'operators' | 'swarm';

export interface FinishedRequest {
  readonly listener: Listener;
  readonly method: string;
  /** The pattern of the route, never the path that was asked for. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

export interface ApiMetrics {
  readonly registry: Registry;
  finished(request: FinishedRequest): void;
}

const LOGIN = '/api/v1/auth/login';
const HEARTBEAT = '/swarm/heartbeat';
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

export function createApiMetrics(options: { readonly process?: boolean } = {}): ApiMetrics {
  const registry = createRegistry(options);
  const registers = [registry];
  const requests = new Counter({
    name: 'deckhand_http_requests_total',
    help: 'Requests answered, by listener, method, route and status',
    labelNames: ['listener', 'method', 'route', 'status'] as const,
    registers,
  });
  const durations = new Histogram({
    name: 'deckhand_http_request_duration_seconds',
    help: 'From the request’s headers to the answer’s',
    labelNames: ['listener', 'method', 'route'] as const,
    buckets: ANSWER_BUCKETS,
    registers,
  });
  const logins = new Counter({
    name: 'deckhand_logins_total',
    help: 'Logins by result: ok, wrong (name or password), limited (too many wrong ones), invalid, unavailable',
    labelNames: ['result'] as const,
    registers,
  });
  const heartbeats = new Counter({
    name: 'deckhand_heartbeats_total',
    help: 'Heartbeats by result: taken, refused (unknown host or certificate), malformed, unavailable (Temporal or PostgreSQL is away)',
    labelNames: ['result'] as const,
    registers,
  });
  for (const result of ['ok', 'wrong', 'limited', 'invalid', 'unavailable']) logins.inc({ result }, 0);
  for (const result of ['taken', 'refused', 'malformed', 'unavailable']) heartbeats.inc({ result }, 0);
  return {
    registry,
    finished({ listener, method: given, route, status, seconds }) {
      const method = METHODS.has(given) ? given : 'other';
      requests.inc({ listener, method, route, status });
      durations.observe({ listener, method, route }, seconds);
      if (route === LOGIN && method === 'POST') logins.inc({ result: loginResult(status) });
      if (route === HEARTBEAT && method === 'POST') heartbeats.inc({ result: heartbeatResult(status) });
    },
  };
}

function loginResult(status: number): string {
  if (status === 200) return 'ok';
  if (status === 401) return 'wrong';
  if (status === 429) return 'limited';
  return status >= 500 ? 'unavailable' : 'invalid';
}

function heartbeatResult(status: number): string {
  if (status === 204) return 'taken';
  if (status === 403 || status === 404) return 'refused';
  return status >= 500 ? 'unavailable' : 'malformed';
}
