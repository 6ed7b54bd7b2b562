import assert from 'node:assert/strict';
import fc from 'fast-check';
import { deployOrder, teardownOrder } from '../../agent/bodies.ts';
import {
  type AgentState,
  acceptOrder,
  emptyState,
  judgeOrder,
  noteTicket,
  type OrderRecord,
} from '../../agent/state.ts';
import { orderOf } from '../support/agents/agent-orders.ts';
import { plainDecky } from '../support/docker/plain-decky.ts';

const NOW = new Date('2026-11-24T10:00:00Z');

interface Sent {
  readonly ticket: number;
  readonly attempt: number;
  /** Every third operation takes everything down. */
  readonly kind: 'deploy' | 'teardown';
}

const nameOf = ({ ticket, attempt }: Sent): string => `d${ticket}-${attempt}`;

/** An order of the operation with that ticket: the host is to run one decky, named by ticket and attempt, or nothing. */
function recordOf(sent: Sent): OrderRecord {
  const { ticket, attempt, kind } = sent;
  const fence = { operation_id: `op-${ticket}`, attempt, ticket };
  if (kind === 'teardown') return teardownOrder({ decky_id: null, deckhand: fence }, NOW);
  const { config, deckhand } = orderOf([{ ...plainDecky, name: nameOf(sent), ip: '192.0.2.9', hostname: 'x' }], fence);
  assert.ok(deckhand);
  return deployOrder({ config, deckhand, dry_run: false, no_cache: false } as never, NOW);
}

/** A host whose agent takes orders in and works them off, and may be killed between any two steps. */
class Host {
  state: AgentState = emptyState();
  runs: string[] = [];

  /** True: accepted, now or before. */
  take(order: OrderRecord): boolean {
    const verdict = judgeOrder(this.state, order);
    if (verdict === 'fresh') acceptOrder(this.state, order, null);
    if (verdict === 'repeat') noteTicket(this.state, order);
    return verdict === 'fresh' || verdict === 'repeat';
  }

  work(): void {
    const order = this.state.orders.shift();
    if (order) this.runs = order.kind === 'deploy' ? order.config.deckies.map(({ name }) => name) : [];
  }

  restart(): void {
    this.state = JSON.parse(JSON.stringify(this.state)) as AgentState;
  }
}

const sent = fc
  .record({ ticket: fc.integer({ min: 1, max: 9 }), attempt: fc.integer({ min: 1, max: 3 }) })
  .map(({ ticket, attempt }): Sent => ({ ticket, attempt, kind: ticket % 3 === 0 ? 'teardown' : 'deploy' }));
const step = fc.record({ sent, works: fc.nat(2), restarts: fc.boolean() });

describe('the tickets of a host', () => {
  // proof: field-3.10-1
  it('decide what runs: orders in any order, repeated and late, leave what the highest one said', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        const host = new Host();
        let highest: Sent | null = null;
        for (const { sent: one, works, restarts } of steps) {
          const isLate: boolean =
            highest !== null &&
            (one.ticket < highest.ticket || (one.ticket === highest.ticket && one.attempt < highest.attempt));
          assert.equal(host.take(recordOf(one)), !isLate);
          if (!isLate) highest = one;
          for (let n = 0; n < works; n += 1) host.work();
          if (restarts) host.restart();
        }
        while (host.state.orders.length > 0) host.work();
        assert.ok(highest);
        assert.deepEqual(host.runs, highest.kind === 'deploy' ? [nameOf(highest)] : []);
        assert.equal(host.state.ticket, highest.ticket);
      }),
    );
  });

  it('are not asked of a master that sends none, and begin anew with a lost state', () => {
    const host = new Host();
    assert.ok(host.take(recordOf({ ticket: 7, attempt: 1, kind: 'deploy' })));
    assert.ok(host.take(teardownOrder({ decky_id: null }, NOW)));
    assert.ok(host.take(teardownOrder({ decky_id: 'a', deckhand: { operation_id: 'x', attempt: 1 } }, NOW)));
    assert.equal(host.state.ticket, 7);
    assert.equal(judgeOrder(emptyState(), recordOf({ ticket: 1, attempt: 1, kind: 'deploy' })), 'fresh');
  });

  it('refuse a late teardown of one decky, also one that was accepted before', () => {
    const host = new Host();
    const late = teardownOrder({ decky_id: 'a', deckhand: { operation_id: 'old', attempt: 1, ticket: 1 } }, NOW);
    assert.ok(host.take(late));
    assert.ok(host.take(recordOf({ ticket: 2, attempt: 1, kind: 'deploy' })));
    assert.equal(judgeOrder(host.state, late), 'overtaken');
  });
});
