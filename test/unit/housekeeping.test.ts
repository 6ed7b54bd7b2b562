import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DURATIONS } from '../../fleet/durations.ts';
import { LONGEST_RUN_MS, MOST_RUN_EVENTS, runsPerDay, SWEEP_EVERY_MS } from '../../fleet/housekeeping.ts';

/** More than a round has: activities of three events, a workflow task of three for each of their ends, a timer. */
const SWEEP_EVENTS = 32;
const LOOK_EVENTS = 12;

describe('housekeeping of an idle day', () => {
  it('adds less than 15 runs to Temporal’s list', () => {
    const tasks = [
      { everyMs: SWEEP_EVERY_MS, events: SWEEP_EVENTS },
      { everyMs: DURATIONS.look_interval.usual, events: LOOK_EVENTS },
    ];
    assert.ok(runsPerDay(tasks) < 15, String(runsPerDay(tasks)));
  });

  it('is split so that no run passes 10,000 events or a quarter of a day', () => {
    assert.ok(MOST_RUN_EVENTS + SWEEP_EVENTS + LOOK_EVENTS < 10_000);
    const task = fc.record({
      everyMs: fc.integer({ min: 1_000, max: 86_400_000 }),
      events: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(fc.array(task, { maxLength: 4 }), (tasks) => {
        const events = tasks.reduce((sum, { everyMs, events }) => sum + Math.ceil(86_400_000 / everyMs) * events, 0);
        return runsPerDay(tasks) * MOST_RUN_EVENTS >= events && runsPerDay(tasks) >= 86_400_000 / LONGEST_RUN_MS;
      }),
    );
  });
});
