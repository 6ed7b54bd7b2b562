import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DURATIONS } from '../../fleet/durations.ts';
import {
  CLOCK_EVERY_MS,
  hasCome,
  LONGEST_RUN_MS,
  lookRound,
  MOST_RUN_EVENTS,
  rotationLookMs,
  roundMs,
  runsPerDay,
  SWEEP_EVERY_MS,
} from '../../fleet/housekeeping.ts';

/** More than a round has: activities of three events, a workflow task of three for each of their ends, a timer. */
const SWEEP_EVENTS = 32;
const LOOK_EVENTS = 12;
const CLOCK_EVENTS = 12;
const ASK_EVENTS = 6;
const MINUTE = 60_000;
const DAY = 86_400_000;

/** A day without work, where the clock's own intervals are the shortest there are unless told otherwise. */
const dayOf = (lookMs: number, rotateMs = MINUTE, reconcileMs = MINUTE): number =>
  runsPerDay([
    { everyMs: SWEEP_EVERY_MS, events: SWEEP_EVENTS },
    { everyMs: CLOCK_EVERY_MS, events: CLOCK_EVENTS },
    { everyMs: roundMs(lookRound(lookMs)), events: LOOK_EVENTS },
    { everyMs: rotateMs, events: ASK_EVENTS },
    { everyMs: reconcileMs, events: LOOK_EVENTS + ASK_EVENTS },
  ]);

describe('housekeeping of an idle day', () => {
  // proof: field-3.15-1
  it('adds less than 20 runs to Temporal’s list as it is installed', () => {
    const day = dayOf(DURATIONS.look_interval.usual, rotationLookMs(30), 10_000 * DAY);
    assert.ok(day < 20, String(day));
  });

  // proof: field-3.15-1
  it('adds less than 50 runs whatever the intervals', () => {
    const { least, most } = DURATIONS.look_interval;
    const look = fc.oneof(
      fc.constantFrom(least, most),
      fc.integer({ min: least, max: MINUTE }),
      fc.integer({ min: least, max: most }),
    );
    const minutes = fc.integer({ min: 1, max: 100_000 });
    fc.assert(
      fc.property(look, minutes, minutes, (lookMs, rotate, reconcile) => {
        assert.ok(dayOf(lookMs, rotationLookMs(rotate), reconcile * MINUTE) < 50);
      }),
    );
  });

  it('looks at the engine as often as is wanted, at least ten seconds of looks in an activity', () => {
    const { least, most } = DURATIONS.look_interval;
    fc.assert(
      fc.property(fc.integer({ min: least, max: most }), (lookMs) => {
        const round = lookRound(lookMs);
        assert.equal(round.everyMs, lookMs);
        assert.ok(roundMs(round) >= 10_000 && roundMs(round) < 10_000 + Math.max(lookMs, 10_000));
      }),
    );
    assert.equal(lookRound(MINUTE).times, 1);
    assert.equal(lookRound(1_000).times, 10);
  });

  it('is split so that no run passes 10,000 events or a quarter of a day', () => {
    assert.ok(MOST_RUN_EVENTS + SWEEP_EVENTS + 2 * LOOK_EVENTS + CLOCK_EVENTS + 3 * ASK_EVENTS < 10_000);
    const task = fc.record({
      everyMs: fc.integer({ min: 1_000, max: DAY }),
      events: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(fc.array(task, { maxLength: 4 }), (tasks) => {
        const events = tasks.reduce((sum, { everyMs, events }) => sum + Math.ceil(DAY / everyMs) * events, 0);
        return runsPerDay(tasks) * MOST_RUN_EVENTS >= events && runsPerDay(tasks) >= DAY / LONGEST_RUN_MS;
      }),
    );
  });
});

describe('what comes by the clock', () => {
  // proof: field-3.15-1
  it('comes once in each interval, however often and unevenly it is asked for', () => {
    const steps = fc.array(fc.integer({ min: 1, max: 5 * MINUTE }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(fc.integer({ min: MINUTE, max: DAY }), fc.nat(DAY), steps, (everyMs, start, pauses) => {
        let [now, judged, times] = [start, start, 0];
        for (const pause of pauses) {
          now += pause;
          if (!hasCome(everyMs, judged, now)) continue;
          [judged, times] = [now, times + 1];
        }
        const passed = Math.floor(now / everyMs) - Math.floor(start / everyMs);
        assert.ok(times <= passed && (passed === 0 || times > 0));
        if (everyMs >= 5 * MINUTE) assert.equal(times, passed);
      }),
    );
  });

  it('looks ten times in an interval of rotation, once a minute to once an hour', () => {
    assert.deepEqual(
      [1, 30, 100, 5_000].map((minutes) => rotationLookMs(minutes) / MINUTE),
      [1, 3, 10, 60],
    );
  });
});
