/** Metrics of the worker: what became of operations and rows, how long each phase took, agents' answers, events, the prune. */
import { Counter, Histogram, type Registry } from 'prom-client';
import { createRegistry, WORK_BUCKETS } from './registry.ts';

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
