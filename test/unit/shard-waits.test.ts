import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { DeckyReport } from '../../fleet/agent-wire.ts';
import { askPauseMs, endByDeadline, failedPauseMs, newWatch, nextWake, takeIn } from '../../workflows/beliefs.ts';

const TERMS = { hostName: 'h1', minHealthyTimeMs: 0, progressDeadlineMs: 20_000, hostLostAfterMs: 90_000 };
const DAY_MS = 86_400_000;

/** The rows of a shard, as ends by decky. */
function rowsOf(...names: string[]) {
  const open = new Set(names);
  const ends = new Map<string, string>();
  const end = (name: string, how: string): void => {
    if (open.delete(name)) ends.set(name, how);
  };
  return {
    ends,
    get open() {
      return [...open].map((deckyName) => ({ deckyName, lifecycleId: deckyName, operation: 'deploy' as const }));
    },
    isOpen: (name: string) => open.has(name),
    succeed: (name: string) => end(name, 'succeeded'),
    fail: (name: string) => end(name, 'failed'),
    giveUp: (name: string) => end(name, 'given up'),
  };
}

describe('what a shard believes', () => {
  // proof: field-1.4-4
  it('asks less and less often: a day in which nothing moves has fewer than 400 questions', () => {
    let asks = 0;
    for (let quietMs = 0; quietMs < DAY_MS; quietMs += askPauseMs(quietMs)) asks += 1;
    assert.ok(asks > 200 && asks < 400, `${asks}`);
    assert.equal(askPauseMs(0), 30_000);
  });

  it('tries a host that fails again and again with pauses that grow to five minutes', () => {
    const pauses = Array.from({ length: 12 }, (_, failures) => failedPauseMs(failures));
    assert.deepEqual(pauses.slice(0, 4), [0, 2_000, 4_000, 8_000]);
    assert.equal(pauses.at(-1), 300_000);
  });

  it('judges no deadline before the host was asked after it', () => {
    const watch = newWatch(0);
    const rows = rowsOf('a');
    assert.equal(nextWake(TERMS, watch), 20_000);
    endByDeadline(TERMS, rows, watch, 25_000);
    assert.equal(rows.open.length, 1);
    watch.lastAsk = 20_001;
    endByDeadline(TERMS, rows, watch, 25_000);
    assert.equal(rows.ends.get('a'), 'given up');
  });

  // proof: field-1.3-2
  it('ends a row by the first end of this attempt, in whatever order reports come', () => {
    const report = fc.record({
      deckyName: fc.constantFrom('a', 'b', 'stranger'),
      status: fc.constantFrom('running', 'succeeded', 'failed'),
      attempt: fc.integer({ min: 1, max: 3 }),
      sequence: fc.integer({ min: 0, max: 20 }),
    });
    void fc.assert(
      fc.property(fc.array(fc.array(report, { maxLength: 5 }), { maxLength: 10 }), (signals) => {
        const watch = { ...newWatch(0), attempt: 2, fenced: true };
        const rows = rowsOf('a', 'b');
        const expected = new Map<string, string>();
        const last = new Map<string, number>();
        for (const { deckyName, status, attempt, sequence } of signals.flat()) {
          if (deckyName === 'stranger' || attempt !== 2 || expected.has(deckyName)) continue;
          if (sequence <= (last.get(deckyName) ?? -1)) continue;
          last.set(deckyName, sequence);
          if (status !== 'running') expected.set(deckyName, status);
        }
        const inbox = signals.map((reports) => ({
          hostUuid: 'h',
          reports: reports.map(
            ({ deckyName, status, attempt, sequence }): DeckyReport => ({
              lifecycleId: deckyName,
              deckyName,
              status: status as DeckyReport['status'],
              error: null,
              seen: null,
              fence: { attempt, sequence },
            }),
          ),
        }));
        takeIn(inbox, rows, watch, DAY_MS);
        watch.lastAsk = DAY_MS;
        endByDeadline(TERMS, rows, watch, DAY_MS + 1);
        const reported = [...rows.ends].filter(([, end]) => end !== 'given up');
        assert.deepEqual(new Map(reported.sort()), new Map([...expected].sort()));
      }),
    );
  });
});
