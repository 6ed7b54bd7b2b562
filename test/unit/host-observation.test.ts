import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { bounded } from '../../activities/agents.ts';
import { matchDeltas } from '../../api/swarm/heartbeat.ts';
import { DRIFT } from '../../fleet/drift.ts';
import { errorText } from '../../fleet/errors.ts';
import {
  deltaError,
  engineObservation,
  hostStates,
  isStorable,
  readDelta,
  readHostObservation,
} from '../../fleet/host-observation.ts';
import { judgeStatus } from '../../fleet/judge-host.ts';
import { DECKY_STATE, STATUS } from '../../fleet/lifecycle.ts';
import { boundedText } from '../../fleet/text.ts';

const FENCE = { operation_id: 'op', attempt: 1 };
const NAMES = ['a', 'b', 'web-01'];

/** What no store takes: NUL and its kin, half pairs, far too long. */
const nastyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '\0',
    'a\0b',
    '\ud800',
    'x\udc00y',
    '\u001b[31mred',
    'root'.repeat(500),
    'é'.repeat(5_000),
    '😀'.repeat(1_500),
  ),
  fc.constantFrom(...Object.values(STATUS), ...Object.values(DECKY_STATE), ...Object.values(DRIFT), 'hibernating'),
);
const anything = fc.oneof(fc.jsonValue(), nastyText, fc.constantFrom(null, 0, -1, 1e308, 2 ** 60, true, [], {}));

/** An object with these keys, each of which may be missing or anything. */
const shaped = (shape: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(
    Object.fromEntries(
      Object.entries(shape).map(([key, value]) => [key, fc.oneof({ weight: 4, arbitrary: value }, anything)]),
    ),
    { requiredKeys: [] },
  );
const name = fc.oneof(fc.constantFrom(...NAMES), nastyText);
const word = fc.oneof(fc.constantFrom(...Object.values(STATUS)), nastyText);
const difference = shaped({ reason: fc.constantFrom(...Object.values(DRIFT), 'of_a_later_version'), container: name });
const decky = shaped({
  operation_id: fc.constantFrom('op', 'other'),
  attempt: fc.constantFrom(1, 2),
  operation: word,
  status: word,
  error: nastyText,
  seen: nastyText,
  step: nastyText,
  drift: fc.array(difference),
});
const entry = shaped({
  name,
  ip: nastyText,
  services: fc.array(name),
  service_config: fc.jsonValue(),
  last_mutated: fc.double(),
});
const status = shaped({
  deployed: fc.boolean(),
  deckies: fc.array(entry),
  runtime: fc.dictionary(name, shaped({ running: fc.boolean(), services: fc.dictionary(name, nastyText) })),
  deckhand: shaped({
    work: fc.array(shaped({ operation_id: fc.constant('op'), attempt: fc.constant(1) })),
    deckies: fc.dictionary(name, decky),
    orphans: fc.array(name),
  }),
});
const delta = shaped({
  decky_name: name,
  operation: fc.constantFrom('deploy', 'mutate', 'teardown'),
  status: word,
  error: nastyText,
  completed_at: nastyText,
  seen: nastyText,
  operation_id: fc.constant('op'),
  attempt: fc.integer(),
  sequence: fc.integer(),
});

/** As the constraints of PostgreSQL have it: `error` of a row, its states, and what jsonb takes. */
function assertStorable(error: string | null, seen: string | null): void {
  assert.ok(error === null || ([...error].length <= 2_000 && isStorable(error) && !error.includes('\0')), `${error}`);
  assert.ok(seen === null || Object.values<string>(DECKY_STATE).includes(seen), `${seen}`);
}
// The longest that a cut makes of a text: each secret becomes longer.
const cut = (text: string): string => text.replaceAll('root', '[cut]');

describe('what an agent says', () => {
  // proof: field-1.2-1
  it('is read without an error, whatever it is, and what a look proves of it can be stored', () => {
    void fc.assert(
      fc.property(fc.oneof({ weight: 8, arbitrary: status }, anything), (value) => {
        const said = readHostObservation(value, cut);
        const rows = NAMES.map((deckyName) => ({ deckyName, operation: 'deploy' as const, config: null }));
        for (const row of judgeStatus(said, FENCE, rows).rows) {
          assertStorable(row.error, row.seen);
          assert.ok(!(row.error ?? '').includes('root'), row.error ?? '');
          assert.ok((row.step ?? '').length <= 300);
        }
        assert.ok(isStorable(hostStates(said)));
        const sight = engineObservation(said);
        assert.ok(!sight.answered || isStorable([...sight.deckies.values(), ...sight.orphans]));
      }),
      { numRuns: 500 },
    );
  });

  // proof: field-1.2-1
  it('in deltas is read without an error, in any order, and every report of it can be stored', () => {
    const row = (deckyName: string) => ({
      lifecycleId: deckyName,
      deckyName,
      operation: 'deploy' as const,
      workflowId: 'w',
      deploymentId: 'op',
      dispatchedAt: new Date(0),
      versions: [{ config: { service_config: { ssh: { password: 'root' } } } as never, custom_services: [] }],
    });
    const host = { hostUuid: 'h', fenced: true, clockOffsetMs: 0 };
    void fc.assert(
      fc.property(fc.array(fc.oneof({ weight: 8, arbitrary: delta }, anything)), (values) => {
        const deltas = values.flatMap((value) => readDelta(value) ?? []);
        for (const signals of matchDeltas(deltas, NAMES.map(row), host).reports.values())
          for (const report of signals.flatMap(({ reports }) => reports)) {
            assertStorable(report.error, report.seen);
            assert.ok(!(report.error ?? '').includes('root'), report.error ?? '');
          }
      }),
      { numRuns: 500 },
    );
  });

  // proof: field-1.2-1
  it('has a bound that holds after secrets were cut out, which makes a text longer', () => {
    const error = deltaError('root'.repeat(500), cut);
    assert.equal(error.length, 2_000);
    assert.match(error, /^\[cut\].* … .*cut\]$/s);
  });

  it('hides no secret behind a control character', () => {
    assert.equal(deltaError('password ro\0ot', cut), 'password [cut]');
  });

  it('of a later version costs the words that are not known, and nothing else', () => {
    const { report } = readHostObservation({
      deployed: true,
      deckies: [],
      deckhand: {
        work: [{ ...FENCE, kind: 'hibernate', state: 'dreaming' }],
        deckies: {
          a: {
            ...FENCE,
            status: 'succeeded',
            error: null,
            seen: 'hibernating',
            step: null,
            drift: [
              { reason: 'cold', container: 'a' },
              { reason: 'exited', container: 'a' },
            ],
            warmth: 7,
          },
          b: { ...FENCE, status: 'dreaming', error: 'x' },
        },
        mood: 'fine',
      },
    });
    const [a, b] = [report?.deckies.get('a'), report?.deckies.get('b')];
    assert.deepEqual([a?.status, a?.seen, a?.drift], ['succeeded', null, [{ reason: 'exited', container: 'a' }]]);
    assert.deepEqual([b?.status, b?.error], [null, 'x']);
    assert.deepEqual(report?.work, [FENCE]);
  });

  it('with a part that can’t be read proves neither that an order nor that a decky is gone', () => {
    const row = { deckyName: 'a', operation: 'teardown' as const, config: null };
    const ours = readHostObservation({ deployed: true, deckies: [], deckhand: { work: 'later', deckies: {} } });
    assert.equal(judgeStatus(ours, FENCE, [row]).known, true);
    const theirs = readHostObservation({ deployed: true, deckies: 'later' });
    assert.equal(judgeStatus(theirs, FENCE, [row]).rows[0]?.status, 'open');
  });

  it('that is nested too deep to be written down is no configuration', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`) as unknown;
    const said = readHostObservation({
      deployed: true,
      deckies: [{ name: 'a', services: ['ssh'], service_config: deep }],
    });
    assert.deepEqual(said.deckies, [{ name: 'a', services: ['ssh'], config: null }]);
  });
});

describe('what a look at a host leaves in a history', () => {
  const rows = (count: number, error: string) =>
    Array.from({ length: count }, (_, index) => ({
      deckyName: `d${index}`,
      status: 'failed' as const,
      proof: 'certain' as const,
      error,
      seen: null,
      step: null,
    }));

  // proof: field-1.2-4
  it('stays under Temporal’s limit for any number of failures, and says that there are more', () => {
    const sight = bounded(rows(10_000, '😀'.repeat(1_000)));
    assert.ok(Buffer.byteLength(JSON.stringify(sight)) < 512 * 1024);
    assert.equal(sight.more, true);
    assert.ok(sight.rows.length > 50);
    assert.deepEqual([bounded(rows(10, 'x')).rows.length, bounded(rows(10, 'x')).more], [10, false]);
  });

  it('is a report to a workflow that is cut into signals of the same size', () => {
    const reported = NAMES.flatMap((deckyName) =>
      Array.from({ length: 500 }, () => ({ deckyName, error: 'y'.repeat(2_000) })),
    ).map(({ deckyName, error }, index) => ({
      deckyName,
      operation: 'deploy' as const,
      status: 'failed' as const,
      error,
      completedMs: null,
      seen: null,
      fence: { operationId: '1', attempt: 1, sequence: index },
    }));
    const row = (deckyName: string) => ({
      lifecycleId: deckyName,
      deckyName,
      operation: 'deploy' as const,
      workflowId: 'w',
      deploymentId: '1',
      dispatchedAt: null,
      versions: [],
    });
    const { reports } = matchDeltas(reported, NAMES.map(row), { hostUuid: 'h', fenced: true, clockOffsetMs: 0 });
    const signals = reports.get('w') ?? [];
    for (const signal of signals) assert.ok(Buffer.byteLength(JSON.stringify(signal)) < 512 * 1024);
    const sequences = signals.flatMap((signal) => signal.reports.map((report) => report.fence?.sequence));
    assert.deepEqual(
      sequences,
      reported.map((_, index) => index),
    );
  });
});

describe('a text for a row', () => {
  it('is plain, keeps head and tail, and stays within its bound', () => {
    void fc.assert(
      fc.property(nastyText, fc.integer({ min: 0, max: 100 }), (text, limit) => {
        const made = boundedText(text, limit);
        assert.ok(made.length <= limit && isStorable(made));
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
        assert.doesNotMatch(made, /[\0-\x08\x0b-\x1f\x7f-\x9f]/);
      }),
    );
    const error = errorText('Internal', `begin\0 ${'x'.repeat(5_000)} end`);
    assert.equal(error.length, 2_000);
    assert.match(error, /^Internal: begin x+ … x+ end$/);
  });
});
