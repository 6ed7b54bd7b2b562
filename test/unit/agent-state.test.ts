import assert from 'node:assert/strict';
import { deployOrder, mutateOrder, teardownOrder } from '../../agent/bodies.ts';
import {
  type AgentState,
  acceptOrder,
  emptyState,
  judgeOrder,
  knownRecord,
  noteOutcome,
  type OrderRecord,
  type Outcome,
  prune,
  recordOf,
} from '../../agent/state.ts';

const NOW = new Date('2026-11-24T10:00:00Z');
const teardown = (operation_id: string, attempt = 1, decky_id: string | null = null): OrderRecord =>
  teardownOrder({ decky_id, deckhand: { operation_id, attempt } }, NOW);
const accepted = (...orders: OrderRecord[]): AgentState => {
  const state = emptyState();
  for (const order of orders) acceptOrder(state, order, null);
  return state;
};
const outcome = (status: Outcome['status'], error: string | null = null): Outcome => ({
  operation: 'deploy',
  status,
  error,
  seen: 'running',
});

describe('the orders of an agent', () => {
  it('are fresh, repeated or stale by operation and attempt', () => {
    const state = accepted(teardown('a', 2));
    assert.equal(judgeOrder(state, teardown('a', 2)), 'repeat');
    assert.equal(judgeOrder(state, teardown('a', 1)), 'stale');
    assert.equal(judgeOrder(state, teardown('a', 3)), 'fresh');
    assert.equal(judgeOrder(state, teardown('b', 1)), 'fresh');
    assert.equal(
      judgeOrder(state, teardown('a', 1, 'web')),
      'fresh',
      'one decky of the operation, an order of its own',
    );
  });

  it('take the place of queued earlier attempts, not of the one that is worked on', () => {
    const [first, other, second, third] = [teardown('a', 1), teardown('b', 1), teardown('a', 2), teardown('a', 3)];
    const state = accepted(first, other);
    acceptOrder(state, second, first);
    assert.deepEqual(state.orders, [first, other, second]);
    acceptOrder(state, third, first);
    assert.deepEqual(state.orders, [first, other, third]);
  });

  it('of a master of DECNET are operations of their own, with default deadlines', () => {
    const body = { decky_id: 'web', services: ['ftp'], dry_run: false };
    const [one, two] = [mutateOrder(body, NOW), mutateOrder(body, NOW)];
    assert.notEqual(one.operation_id, two.operation_id);
    assert.deepEqual([one.fenced, one.timing.minHealthyMs], [false, 3_000]);
    const config = {
      mode: 'swarm' as const,
      interface: 'eth0',
      subnet: '',
      gateway: '',
      deckies: [],
      log_file: null,
      ipvlan: false,
      mutate_interval: null,
    };
    assert.deepEqual(deployOrder({ config, dry_run: false, no_cache: false }, NOW).remove, []);
  });
});

describe('the reports of an agent', () => {
  it('carry the fence and a number that grows', () => {
    const order = teardown('a');
    const state = accepted(order);
    noteOutcome(state, order, 'web', outcome('running'), NOW);
    noteOutcome(state, order, 'db', outcome('failed', 'Type: why'), NOW);
    assert.deepEqual(
      state.outbox.map(({ delta }) => delta),
      [
        { decky_name: 'web', operation: 'deploy', status: 'running', operation_id: 'a', attempt: 1, sequence: 1 },
        {
          decky_name: 'db',
          operation: 'deploy',
          status: 'failed',
          error: 'Type: why',
          completed_at: NOW.toISOString(),
          operation_id: 'a',
          attempt: 1,
          sequence: 2,
          seen: 'running',
        },
      ],
    );
  });

  it('drop a `running` that was not fetched once the decky has ended, and nobody else’s', () => {
    const order = teardown('a');
    const state = accepted(order);
    for (const name of ['web', 'db']) noteOutcome(state, order, name, outcome('running'), NOW);
    noteOutcome(state, order, 'web', outcome('succeeded'), NOW);
    assert.deepEqual(
      state.outbox.map(({ delta }) => `${delta.decky_name} ${delta.status}`),
      ['db running', 'web succeeded'],
    );
  });

  it('have no fence for a master that sent none', () => {
    const order = teardownOrder({ decky_id: null }, NOW);
    const state = accepted(order);
    noteOutcome(state, order, 'web', outcome('succeeded'), NOW);
    const { delta } = state.outbox[0] ?? {};
    assert.deepEqual(Object.keys(delta ?? {}), ['decky_name', 'operation', 'status', 'completed_at']);
  });
});

describe('what an agent forgets after a day', () => {
  const LATER = new Date(NOW.getTime() + 25 * 60 * 60 * 1_000);

  it('is what is gone and ended, and attempts that nobody waits for', () => {
    const [open, done] = [teardown('open'), teardown('done')];
    const state = accepted(open, done);
    state.orders = [open];
    noteOutcome(state, done, 'gone', outcome('failed'), NOW);
    noteOutcome(state, done, 'here', outcome('succeeded'), NOW);
    recordOf(state, 'here').desired = { config: {} as never, custom_services: [] };
    prune(state, NOW);
    assert.deepEqual(Object.keys(state.deckies), ['gone', 'here']);
    prune(state, LATER);
    assert.deepEqual(Object.keys(state.deckies), ['here']);
    assert.deepEqual(Object.keys(state.attempts), ['open']);
    assert.equal(state.outbox.length, 2, 'a report is kept until it was taken');
  });
});

describe('names that every object knows', () => {
  it('are names like others, of deckies and of operations', () => {
    const state = emptyState();
    assert.equal(judgeOrder(state, teardown('constructor')), 'fresh');
    acceptOrder(state, teardown('toString'), null);
    assert.equal(judgeOrder(state, teardown('toString')), 'repeat');
    assert.equal(knownRecord(state, 'constructor'), undefined);
    recordOf(state, 'constructor').last = null;
    assert.deepEqual(Object.keys(state.deckies), ['constructor']);
  });
});
