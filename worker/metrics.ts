/** The worker's own metrics and the Temporal SDK's, on one listener; nothing at all where none is asked for. */

import type { AgentClient } from '../adapters/agent/client.ts';
import { chooseSdkExporter, type MetricsAddress, serveMetricsIfAsked } from '../adapters/metrics/listener.ts';
import { codeOfError, codeOfText, createWorkerMetrics, type WorkerMetrics } from '../adapters/metrics/metrics.ts';
import type { OperationTimes } from '../adapters/postgres/deployments.ts';
import type { Prunable } from '../adapters/postgres/upkeep.ts';
import type { Logger } from '../lib/logger.ts';
import type { PostgresOperationStore } from '../operations/store.ts';

export interface OpenMetrics {
  readonly metrics: WorkerMetrics;
  /** Where the SDK's runtime has to serve its metrics. */
  readonly sdkAddress: string;
  stop(): Promise<void>;
}

export async function openMetrics(address: MetricsAddress | null, logger: Logger): Promise<OpenMetrics | null> {
  if (address === null) return null;
  const metrics = createWorkerMetrics({ process: true });
  const sdk = await chooseSdkExporter();
  const listener = await serveMetricsIfAsked(metrics.registry, address, logger, sdk.read);
  if (listener === null) return null;
  return { metrics, sdkAddress: sdk.bindAddress, stop: () => listener.stop() };
}

/** Wraps what the worker works with, so that neither workflows nor activities know that they are measured. */

/** `times` reads how long an operation took; that it fails never costs the operation anything. */
export function measuredStore(
  store: PostgresOperationStore,
  metrics: WorkerMetrics,
  times: (operationId: string) => Promise<OperationTimes | null>,
): PostgresOperationStore {
  return {
    ...store,
    async accept(operationId) {
      const outcome = await store.accept(operationId);
      metrics.acceptances.inc({ result: outcome.accepted ? 'accepted' : outcome.code });
      return outcome;
    },
    async record(transitions) {
      const moved = await store.record(transitions);
      const ids = new Set(moved);
      for (const { lifecycleId, status, error } of transitions)
        if (status !== 'running' && ids.has(lifecycleId))
          metrics.rows.inc({ status, code: error === undefined ? 'none' : codeOfText(error) });
      return moved;
    },
    async finish(operationId, cancelled) {
      const ended = await store.finish(operationId, cancelled);
      if (ended.now) await times(operationId).then((found) => observeTimes(metrics, found), ignore);
      return ended;
    },
  };
}

const ignore = (): void => undefined;

function observeTimes(metrics: WorkerMetrics, times: OperationTimes | null): void {
  if (!times) return;
  metrics.operations.inc({ kind: times.kind, outcome: times.outcome });
  metrics.operationSeconds.observe({ kind: times.kind }, times.totalSeconds);
  metrics.phaseSeconds.observe({ phase: 'accept' }, times.acceptSeconds);
  for (const { queueSeconds, convergeSeconds } of times.rows) {
    metrics.phaseSeconds.observe({ phase: 'queue' }, queueSeconds);
    metrics.phaseSeconds.observe({ phase: 'converge' }, convergeSeconds);
  }
}

export function measuredAgents(client: AgentClient, metrics: WorkerMetrics): AgentClient {
  async function timed<T>(call: string, work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    let result = 'ok';
    try {
      return await work();
    } catch (error) {
      result = codeOfError(error);
      throw error;
    } finally {
      const seconds = (performance.now() - began) / 1_000;
      metrics.agentCalls.inc({ call, result });
      metrics.agentCallSeconds.observe({ call }, seconds);
      if (call === 'deploy' || call === 'mutate') metrics.phaseSeconds.observe({ phase: 'dispatch' }, seconds);
    }
  }
  return {
    health: (...args) => timed('health', () => client.health(...args)),
    status: (...args) => timed('status', () => client.status(...args)),
    deploy: (...args) => timed('deploy', () => client.deploy(...args)),
    mutate: (...args) => timed('mutate', () => client.mutate(...args)),
    teardown: (...args) => timed('teardown', () => client.teardown(...args)),
    selfDestruct: (...args) => timed('self-destruct', () => client.selfDestruct(...args)),
    close: () => client.close(),
  };
}

export function measuredDrain<A extends unknown[]>(
  drain: (...args: A) => Promise<number>,
  metrics: WorkerMetrics,
): (...args: A) => Promise<number> {
  return async (...args) => {
    try {
      const sent = await drain(...args);
      metrics.events.inc(sent);
      return sent;
    } catch (error) {
      metrics.drainFailures.inc();
      throw error;
    }
  };
}

export const measuredPrunables = (prunables: readonly Prunable[], metrics: WorkerMetrics): readonly Prunable[] =>
  prunables.map((prunable) => ({
    ...prunable,
    async remove(limit) {
      const count = await prunable.remove(limit);
      metrics.pruned.inc({ table: prunable.table }, count);
      return count;
    },
  }));
