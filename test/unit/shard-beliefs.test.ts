import assert from 'node:assert/strict';
import type { HostSight } from '../../activities/agents.ts';
import { bounded } from '../../activities/host-sights.ts';
import type { HostReport } from '../../fleet/agent-wire.ts';
import { attemptBoundMs, ROLLOUT_DEFAULTS } from '../../fleet/limits.ts';
import { endByDeadline, newWatch, takeIn, takeSight } from '../../workflows/beliefs.ts';
import type { DeployShardInput, Watch } from '../../workflows/shard-input.ts';
import type { ShardLedger } from '../../workflows/shard-ledger.ts';

const input: DeployShardInput = {
  operationId: 'op',
  hostUuid: 'h',
  hostName: 'h1',
  turn: true,
  place: null,
  ...ROLLOUT_DEFAULTS,
  progressDeadlineMs: 20_000,
};

/** A shard that waits for one decky, whose last progress is `ago` milliseconds old. */
function waiting(ago: number): { watch: Watch; ledger: ShardLedger; errors: string[] } {
  const errors: string[] = [];
  const ledger = {
    isOpen: () => true,
    open: [{ deckyName: 'web' }],
    succeed: () => {},
    fail: (_: string, error: string) => errors.push(error),
    giveUp: (_: string, error: string) => errors.push(error),
  };
  const watch = newWatch(Date.now() - ago);
  Object.assign(watch, { attempt: 1, fenced: true });
  return { watch, ledger: ledger as unknown as ShardLedger, errors };
}

const running = (sequence: number): HostReport[] => [
  {
    reports: [{ deckyName: 'web', status: 'running', error: null, seen: null, fence: { attempt: 1, sequence } }],
  } as unknown as HostReport,
];

const sight = (step: string): HostSight => ({
  reachable: true,
  sentence: null,
  lastSignMs: 0,
  fenced: true,
  known: true,
  has: true,
  reportGraceMs: 0,
  ...bounded([{ deckyName: 'web', status: 'open', proof: null, error: null, seen: null, step }]),
});

describe('what a shard takes for progress', () => {
  // proof: field-1.5-2
  it('is the first `running` of a decky, and no later one of an agent that started again', () => {
    const { watch, ledger } = waiting(15_000);
    takeIn(running(1), ledger, watch, Date.now());
    assert.ok(Date.now() - watch.lastProgress < 5_000);
    watch.lastProgress -= 15_000;
    const before = watch.lastProgress;
    for (const sequence of [2, 3, 4]) takeIn(running(sequence), ledger, watch, Date.now());
    assert.equal(watch.lastProgress, before);
    assert.ok(watch.lastSign > before, 'it is a sign of life all the same');
  });

  it('is a step that it has not seen, and no retry of one that failed', () => {
    const { watch, ledger } = waiting(15_000);
    takeSight(sight('creating web'), input, ledger, watch, Date.now());
    assert.ok(Date.now() - watch.lastProgress < 5_000);
    watch.lastProgress -= 15_000;
    const before = watch.lastProgress;
    for (const until of ['2026-12-01T00:00:00Z', '2026-12-01T00:00:01Z'])
      takeSight(sight(`retrying: the engine is busy; until ${until}`), input, ledger, watch, Date.now());
    takeSight(sight('creating web'), input, ledger, watch, Date.now());
    assert.equal(watch.lastProgress, before);
  });

  // proof: field-1.5-2
  it('does not carry an attempt past its bound', () => {
    const { watch, ledger, errors } = waiting(0);
    watch.boundMs = attemptBoundMs(input, 1);
    watch.lastProgress = Date.now();
    endByDeadline(input, ledger, watch, Date.now());
    assert.deepEqual(errors, []);
    watch.dispatchedAt -= watch.boundMs;
    watch.lastAsk = Date.now();
    endByDeadline(input, ledger, watch, Date.now());
    assert.match(errors[0] ?? '', /^ProgressDeadline: host h1 did not end its work within/);
  });
});

describe('the bound of an attempt', () => {
  it('grows with its deadlines and with the deckies that can’t be brought up at once', () => {
    const bound = (deckies: number, progressDeadlineMs = 600_000) =>
      attemptBoundMs({ progressDeadlineMs, healthyDeadlineMs: 300_000 }, deckies);
    assert.ok(bound(1) > 6 * 600_000);
    assert.equal(bound(1), bound(12));
    assert.ok(bound(13) > bound(12));
    assert.ok(bound(1, 1_200_000) > bound(1));
  });
});
