import assert from 'node:assert/strict';
import type { ReportableRow } from '../../adapters/postgres/host-reports.ts';
import { matchDeltas } from '../../api/swarm/heartbeat.ts';
import { type ObservedDelta, readDelta } from '../../fleet/host-observation.ts';

const DISPATCHED = Date.parse('2026-11-23T19:00:00Z');

const row = (deckyName: string, more: Partial<ReportableRow> = {}): ReportableRow => ({
  lifecycleId: `row-${deckyName}`,
  deckyName,
  operation: 'deploy',
  workflowId: 'deploy/1/host/h',
  deploymentId: '1',
  dispatchedAt: new Date(DISPATCHED),
  versions: [],
  ...more,
});
const delta = (deckyName: string, more: Partial<ObservedDelta> = {}): ObservedDelta => ({
  deckyName,
  operation: 'deploy',
  status: 'succeeded',
  error: null,
  completedMs: null,
  seen: null,
  fence: null,
  ...more,
});
const DECNET = { hostUuid: 'h', fenced: false, clockOffsetMs: 0 };
const OURS = { ...DECNET, fenced: true };
const names = (matched: ReturnType<typeof matchDeltas>): string[][] =>
  [...matched.reports.values()].map((signals) => signals.flatMap(({ reports }) => reports.map((one) => one.deckyName)));

describe('deltas of a heartbeat', () => {
  it('are read as they come, with what is optional left out', () => {
    assert.deepEqual(readDelta({ decky_name: 'a', operation: 'teardown', status: 'running' }), {
      deckyName: 'a',
      operation: 'teardown',
      status: 'running',
      error: null,
      completedMs: null,
      seen: null,
      fence: null,
    });
    const whole = readDelta({
      decky_name: 'a',
      operation: 'deploy',
      status: 'failed',
      error: 'X: y',
      completed_at: '2026-11-23T19:05:49.240706+00:00',
      operation_id: 'o',
      attempt: 1,
      sequence: 9,
      seen: 'running',
      surprise: true,
    });
    assert.deepEqual(whole?.fence, { operationId: 'o', attempt: 1, sequence: 9 });
    assert.equal(whole?.completedMs, Date.parse('2026-11-23T19:05:49.240Z'));
    assert.equal(whole?.seen, 'running');
  });

  it('a time or a state that makes no sense is left out, not the delta', () => {
    const read = readDelta({
      decky_name: 'a',
      operation: 'deploy',
      status: 'succeeded',
      completed_at: 'x',
      seen: 'x',
      error: 7,
    });
    assert.deepEqual([read?.completedMs, read?.seen, read?.error], [null, null, null]);
  });

  it('nonsense is no delta (A10)', () => {
    const good = { decky_name: 'a', operation: 'deploy', status: 'succeeded' };
    const bad = [
      null,
      [],
      'x',
      {},
      { ...good, decky_name: '' },
      { ...good, decky_name: 'x'.repeat(129) },
      { ...good, decky_name: 'a\0' },
      { ...good, status: 'pending' },
      { ...good, operation: 'constructor' },
      { ...good, operation_id: 'o' },
      { ...good, operation_id: 'o', attempt: 1.5, sequence: 1 },
      { ...good, attempt: 1, sequence: 1 },
    ];
    for (const value of bad) assert.equal(readDelta(value), null, JSON.stringify(value));
  });

  it('are grouped by workflow, in their order', () => {
    const rows = [row('a'), row('b', { workflowId: 'other' }), row('c')];
    const matched = matchDeltas([delta('c'), delta('b'), delta('a'), delta('c')], rows, DECNET);
    assert.deepEqual([...matched.reports.keys()], ['deploy/1/host/h', 'other']);
    assert.deepEqual(names(matched), [['c', 'a', 'c'], ['b']]);
    assert.deepEqual(matched.dropped, []);
  });

  it('without an open row, or of another operation than its, are dropped', () => {
    const matched = matchDeltas([delta('a', { operation: 'mutate' }), delta('x')], [row('a')], DECNET);
    assert.deepEqual(names(matched), []);
    assert.equal(matched.dropped.length, 2);
  });

  it('with a fence: the operation has to be the row’s (A8)', () => {
    const fence = { operationId: '1', attempt: 3, sequence: 5 };
    const deltas = [delta('a', { fence }), delta('a', { fence: { ...fence, operationId: '0' } }), delta('a')];
    const matched = matchDeltas(deltas, [row('a', { dispatchedAt: null })], OURS);
    assert.deepEqual(
      [...matched.reports.values()][0]?.[0]?.reports.map((one) => one.fence),
      [{ attempt: 3, sequence: 5 }],
    );
    assert.deepEqual(
      matched.dropped.map((one) => one.why),
      ['of another operation', 'without a fence, of an agent that has them'],
    );
  });

  it('without one: not before the dispatch, but for 5 s of clock (A8)', () => {
    const taken = (completedMs: number | null, more: Partial<ReportableRow> = {}, clockOffsetMs = 0): boolean =>
      matchDeltas([delta('a', { completedMs })], [row('a', more)], { ...DECNET, clockOffsetMs }).reports.size === 1;
    assert.ok(taken(null));
    assert.ok(!taken(null, { dispatchedAt: null }));
    assert.ok(taken(DISPATCHED - 5_000));
    assert.ok(!taken(DISPATCHED - 5_001));
    assert.ok(taken(DISPATCHED - 65_000, {}, -60_000), 'its clock is a minute behind');
    assert.ok(!taken(DISPATCHED + 54_999, {}, 60_000), 'its clock is a minute ahead');
  });

  it('errors are cut free of the secrets of what was wanted and of what runs', () => {
    const versions = ['wanted-secret', 'running-secret'].map((password) => ({
      config: { service_config: { ssh: { password } } } as never,
      custom_services: [],
    }));
    const failed = delta('a', { status: 'failed', error: `X: wanted-secret\0 running-secret ${'y'.repeat(3_000)}` });
    const [report] = [...matchDeltas([failed], [row('a', { versions })], DECNET).reports.values()];
    const error = report?.[0]?.reports[0]?.error ?? '';
    assert.match(error, /^X: \[cut\] \[cut\] yyy/);
    assert.equal(error.length, 2_000);
  });
});
