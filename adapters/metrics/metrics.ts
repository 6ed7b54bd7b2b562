/** What every program's metrics start from: the process's own figures, and the times that make sense here. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { ERRORS, isDeckhandError } from '../../fleet/errors.ts';

/** A registry of its own; with `process`, memory, CPU, event loop and garbage collection of this process too. */
export function createRegistry(options: { readonly process?: boolean } = {}): Registry {
  const register = new Registry();
  if (options.process === true) collectDefaultMetrics({ register });
  return register;
}

/** Seconds: answers of an API. */
export const ANSWER_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Seconds: work on hosts and engines, up to the deadlines of the design (10 minutes without progress). */
export const WORK_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800];

/** Error codes as label values: those of the one table, so that their number is bounded. */

const OTHER = 'other';

/** The code of a thrown error. */
export const codeOfError = (error: unknown): string => (isDeckhandError(error) ? error.code : OTHER);

/** The code that a row's error ("Code: sentence") begins with. */
export function codeOfText(text: string): string {
  const code = /^(\w+):/.exec(text)?.[1] ?? '';
  return Object.hasOwn(ERRORS, code) ? code : OTHER;
}

/** Metrics of the API: requests on both listeners, logins, heartbeats. Labels are bounded: routes are patterns. */

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

/** Metrics of the worker: what became of operations and rows, how long each phase took, agents' answers, events, the prune. */

/** accept: request stored → decided. queue: accepted → its turn. dispatch: one order to a host. converge: work begun → row ended. */
export const PHASES = ['accept', 'queue', 'dispatch', 'converge'] as const;
export type Phase = (typeof PHASES)[number];

export interface WorkerMetrics {
  readonly registry: Registry;
  readonly operations: Counter<'kind' | 'outcome'>;
  readonly operationSeconds: Histogram<'kind'>;
  readonly phaseSeconds: Histogram<'phase'>;
  readonly acceptances: Counter<'result'>;
  readonly rows: Counter<'status' | 'code'>;
  readonly agentCalls: Counter<'call' | 'result'>;
  readonly agentCallSeconds: Histogram<'call'>;
  readonly events: Counter;
  readonly drainFailures: Counter;
  readonly pruned: Counter<'table'>;
}

export function createWorkerMetrics(options: { readonly process?: boolean } = {}): WorkerMetrics {
  const registry = createRegistry(options);
  return { registry, ...operationMetrics([registry]), ...worldMetrics([registry]) };
}

const operationMetrics = (registers: Registry[]) => ({
  operations: new Counter({
    name: 'deckhand_operations_total',
    help: 'Accepted operations that ended, by kind and outcome; failed: at least one of its rows; cancelled: somebody cancelled it in time',
    labelNames: ['kind', 'outcome'] as const,
    registers,
  }),
  operationSeconds: new Histogram({
    name: 'deckhand_operation_duration_seconds',
    help: 'From the stored request to the end of its last row',
    labelNames: ['kind'] as const,
    buckets: WORK_BUCKETS,
    registers,
  }),
  phaseSeconds: new Histogram({
    name: 'deckhand_phase_duration_seconds',
    help: 'By phase: accept (a request), queue and converge (each row), dispatch (each order to a host)',
    labelNames: ['phase'] as const,
    buckets: WORK_BUCKETS,
    registers,
  }),
  acceptances: new Counter({
    name: 'deckhand_acceptances_total',
    help: 'Requests judged, by result: accepted, or the error code of the refusal',
    labelNames: ['result'] as const,
    registers,
  }),
  rows: new Counter({
    name: 'deckhand_rows_ended_total',
    help: 'Lifecycle rows that ended, by status and error code (none: succeeded)',
    labelNames: ['status', 'code'] as const,
    registers,
  }),
});

const worldMetrics = (registers: Registry[]) => ({
  agentCalls: new Counter({
    name: 'deckhand_agent_calls_total',
    help: 'Calls of agents, by call and result: ok, or the error code',
    labelNames: ['call', 'result'] as const,
    registers,
  }),
  agentCallSeconds: new Histogram({
    name: 'deckhand_agent_call_duration_seconds',
    help: 'Until an agent answered or was given up',
    labelNames: ['call'] as const,
    buckets: WORK_BUCKETS,
    registers,
  }),
  events: new Counter({
    name: 'deckhand_events_sent_total',
    help: 'Events that the bus took',
    registers,
  }),
  drainFailures: new Counter({
    name: 'deckhand_outbox_drain_failures_total',
    help: 'Tries to send events that the bus, or the database, did not take',
    registers,
  }),
  pruned: new Counter({
    name: 'deckhand_pruned_rows_total',
    help: 'Rows removed by the daily prune, by table; rows of a deployment go with it and are not counted',
    labelNames: ['table'] as const,
    registers,
  }),
});

/** Metrics of an agent: reports to the master, what waits for them, orders, deckies. */

/** What the agent's state says when somebody scrapes. */
export interface AgentFigures {
  /** Deltas that the master has not acknowledged. */
  readonly unacknowledged: number;
  /** Orders accepted and not done. */
  readonly orders: number;
  /** Deckies that should run here. */
  readonly deckies: number;
}

export interface AgentMetrics {
  readonly registry: Registry;
  /** `status`: the master's answer, or null when there was none. */
  reported(status: number | null): void;
  /** Once the agent's state is known. */
  watch(figures: () => AgentFigures): void;
}

export function createAgentMetrics(options: { readonly process?: boolean } = {}): AgentMetrics {
  const registry = createRegistry(options);
  const registers = [registry];
  const reports = new Counter({
    name: 'deckhand_agent_reports_total',
    help: 'Calls of the master by result: taken, refused (4xx), unavailable (5xx), unanswered',
    labelNames: ['result'] as const,
    registers,
  });
  for (const result of ['taken', 'refused', 'unavailable', 'unanswered']) reports.inc({ result }, 0);
  const lastTaken = new Gauge({
    name: 'deckhand_agent_last_taken_report_timestamp_seconds',
    help: 'When the master last took a report of this process; 0: never',
    registers,
  });
  return {
    registry,
    reported(status) {
      const result = resultOf(status);
      reports.inc({ result });
      if (result === 'taken') lastTaken.setToCurrentTime();
    },
    watch: (figures) => watch(registers, figures),
  };
}

function resultOf(status: number | null): string {
  if (status === null) return 'unanswered';
  if (status < 300) return 'taken';
  return status >= 500 ? 'unavailable' : 'refused';
}

function watch(registers: Registry[], figures: () => AgentFigures): void {
  const add = (name: string, help: string, read: (figures: AgentFigures) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(figures()));
      },
    });
  };
  add(
    'deckhand_agent_unacknowledged_deltas',
    'Ends of deckies that the master has not acknowledged',
    (now) => now.unacknowledged,
  );
  add('deckhand_agent_open_orders', 'Orders of the master that are accepted and not done', (now) => now.orders);
  add('deckhand_agent_deckies', 'Deckies that should run on this host', (now) => now.deckies);
}
