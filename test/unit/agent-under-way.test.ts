import assert from 'node:assert/strict';
import fc from 'fast-check';
import { mutateOrder } from '../../agent/bodies.ts';
import {
  type AgentState,
  acceptOrder,
  beginOrder,
  beginWork,
  countDeath,
  deathsAt,
  emptyState,
  endOrder,
  hasSeen,
  leaveOrder,
  noteOutcome,
  noteStep,
  type OrderRecord,
  since,
  worstDeaths,
} from '../../agent/state.ts';

const NOW = new Date('2026-11-24T10:00:00Z');
const LATER = new Date('2026-11-24T11:00:00Z');
const TIMING = { min_healthy_time_ms: 1, healthy_deadline_ms: 1, progress_deadline_ms: 1 };
const order = (attempt = 1): OrderRecord =>
  mutateOrder(
    {
      decky_id: 'a',
      services: [],
      dry_run: false,
      deckhand: { operation_id: 'op', attempt, custom_services: {}, ...TIMING },
    },
    NOW,
  );
/** What a start reads after whatever ended the run before. */
const restarted = (state: AgentState): AgentState => JSON.parse(JSON.stringify(state)) as AgentState;
const first = (state: AgentState): OrderRecord => {
  const [one] = state.orders;
  assert.ok(one);
  return one;
};

describe('what an agent writes down of work under way', () => {
  // proof: field-1.5-3
  it('keeps the begin, the steps and the deaths of a decky over any number of restarts', () => {
    const names = fc.subarray(['a', 'b', 'c'], { minLength: 1 });
    const run = fc.record({ names, dies: fc.boolean() });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 8 }), (runs) => {
        let state = emptyState();
        acceptOrder(state, order(), null);
        const expected: Record<string, number> = { a: 0, b: 0, c: 0 };
        for (const [n, { names: works, dies }] of runs.entries()) {
          beginOrder(state, first(state));
          for (const name of works) {
            const work = beginWork(state, first(state), name, new Date(NOW.getTime() + n * 1_000));
            if (!hasSeen(work, 'creating it')) noteStep(work, 'creating it', NOW);
            assert.equal(work.steps.length, 1);
          }
          if (dies) for (const name of works) expected[name] = (expected[name] ?? 0) + 1;
          else leaveOrder(state);
          state = restarted(state);
          assert.equal(countDeath(state) !== null, dies);
          assert.equal(countDeath(state), null, 'one death counts once');
        }
        for (const [name, deaths] of Object.entries(expected))
          assert.equal(deathsAt(state, first(state), name), deaths);
        assert.equal(worstDeaths(state, first(state)), Math.max(...Object.values(expected)));
      }),
    );
  });

  it('counts a death against the order where it was at work on no decky', () => {
    let state = emptyState();
    acceptOrder(state, order(), null);
    for (const deaths of [1, 2]) {
      beginOrder(state, first(state));
      state = restarted(state);
      countDeath(state);
      assert.equal(first(state).deaths, deaths);
    }
  });

  it('forgets the deaths of a decky that has ended, of an order that has, and of an earlier attempt', () => {
    const state = emptyState();
    acceptOrder(state, order(), null);
    const one = first(state);
    for (const name of ['a', 'b']) beginWork(state, one, name, NOW).deaths = 2;
    noteOutcome(state, one, 'a', { operation: 'mutate', status: 'failed', error: null, seen: 'failed' }, NOW);
    assert.deepEqual([deathsAt(state, one, 'a'), deathsAt(state, one, 'b')], [0, 2]);
    assert.equal(beginWork(state, order(2), 'b', LATER).began_at, LATER.toISOString());
    beginWork(state, one, 'b', NOW).deaths = 2;
    endOrder(state, one);
    assert.deepEqual([state.orders, worstDeaths(state, one)], [[], 0]);
  });

  it('takes a begin in the future, or one that is no time, for now', () => {
    assert.equal(since(NOW.toISOString(), LATER), 3_600_000);
    assert.equal(since(LATER.toISOString(), NOW), 0);
    assert.equal(since('no time', NOW), 0);
    assert.equal(since(undefined, NOW), 0);
  });
});
