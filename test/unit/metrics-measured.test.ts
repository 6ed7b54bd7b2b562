import assert from 'node:assert/strict';
import type { AgentClient } from '../../adapters/agent/client.ts';
import { codeOfText, createWorkerMetrics, type WorkerMetrics } from '../../adapters/metrics/metrics.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import type { PostgresOperationStore } from '../../operations/store.ts';
import { measuredAgents, measuredDrain, measuredPrunables, measuredStore } from '../../worker/metrics.ts';
import { sample } from '../support/reading/metrics.ts';

describe('what the worker measures', () => {
  let metrics: WorkerMetrics;
  beforeEach(() => {
    metrics = createWorkerMetrics();
  });
  const value = async (name: string, labels: Record<string, string> = {}): Promise<number | null> =>
    sample(await metrics.registry.metrics(), name, labels);

  // proof: observability
  it('rows that moved, once, with the code that their error begins with', async () => {
    const store = measuredStore(
      { record: async () => ['1', '2'] } as unknown as PostgresOperationStore,
      metrics,
      async () => null,
    );
    const error = 'HostLost: host h1 gave no sign of life for 90 s';
    await store.record([
      { lifecycleId: '1', deckyName: 'a', status: 'running' },
      { lifecycleId: '1', deckyName: 'a', status: 'succeeded' },
      { lifecycleId: '2', deckyName: 'b', status: 'failed', error },
      { lifecycleId: '3', deckyName: 'c', status: 'failed', error },
    ]);
    assert.equal(await value('deckhand_rows_ended_total'), 2);
    assert.equal(await value('deckhand_rows_ended_total', { status: 'succeeded', code: 'none' }), 1);
    assert.equal(await value('deckhand_rows_ended_total', { status: 'failed', code: 'HostLost' }), 1);
  });

  it('codes are those of the one table, so that an agent’s words make no series', () => {
    assert.equal(codeOfText('EngineUnreachable: no'), 'EngineUnreachable');
    for (const text of ['RuntimeError: x', 'toString: x', 'nothing', '']) assert.equal(codeOfText(text), 'other');
  });

  const FINISHED = { outcome: 'succeeded', now: true };
  it('an operation’s end never fails for the sake of a measure', async () => {
    const store = measuredStore({ finish: async () => FINISHED } as unknown as PostgresOperationStore, metrics, () =>
      Promise.reject(new Error('away')),
    );
    assert.equal(await store.finish('1'), FINISHED);
    assert.equal(await value('deckhand_operations_total'), null);
  });

  it('calls of agents by result, and orders as the phase dispatch', async () => {
    const client = measuredAgents(
      {
        deploy: async () => ({ body: {}, clockOffsetMs: null }),
        status: () => Promise.reject(new DeckhandError('HostUnreachable', 'no')),
      } as unknown as AgentClient,
      metrics,
    );
    await client.deploy({} as never, {} as never);
    await assert.rejects(client.status({} as never));
    assert.equal(await value('deckhand_agent_calls_total', { call: 'deploy', result: 'ok' }), 1);
    assert.equal(await value('deckhand_agent_calls_total', { call: 'status', result: 'HostUnreachable' }), 1);
    assert.equal(await value('deckhand_phase_duration_seconds_count', { phase: 'dispatch' }), 1);
  });

  it('events sent, tries that failed, and rows pruned', async () => {
    assert.equal(await measuredDrain(async () => 3, metrics)(), 3);
    await assert.rejects(measuredDrain(() => Promise.reject(new Error('away')), metrics)());
    const [prunable] = measuredPrunables([{ table: 'outbox', batch: 9, remove: async () => 4 }], metrics);
    assert.equal(await prunable?.remove(9), 4);
    assert.equal(await value('deckhand_events_sent_total'), 3);
    assert.equal(await value('deckhand_outbox_drain_failures_total'), 1);
    assert.equal(await value('deckhand_pruned_rows_total', { table: 'outbox' }), 4);
  });
});
