/** From a text to a plan or a refusal the way is linear: nobody waits for anybody's INI. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LIMITS } from '../../fleet/limits.ts';
import { NASTY } from '../support/fixtures/nasty-inis.ts';
import { EMPTY, plan } from '../support/fixtures/planning.ts';

const SIZE = LIMITS.iniCharacters;
/** Milliseconds of processor time. On an idle machine each takes less than 100; others may use its caches. */
const MOST = 2_000;
/** Below this, twice the text says nothing: the compiler and the collector of garbage cost as much. */
const NOISE = 250;

/** The least of two, in processor time: what else runs can only add to it. */
function cost(text: string): number {
  const times = [1, 2].map(() => {
    const before = process.cpuUsage();
    try {
      plan(text, { fleet: EMPTY });
    } catch {
      // Refused is as good as planned.
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...times);
}

function assertLinear(make: (size: number) => string): void {
  const whole = cost(make(SIZE));
  assert.ok(whole < MOST, `${Math.round(whole)} ms`);
  if (whole < NOISE) return;
  const half = cost(make(SIZE / 2));
  assert.ok(whole < 3 * Math.max(half, NOISE / 2), `${Math.round(half)} ms for half of it, ${Math.round(whole)} ms`);
}

describe('The cost of an INI', () => {
  // proof: field-1.8-1
  for (const [what, make] of Object.entries(NASTY))
    it(`grows no faster than the text: ${what}`, () => assertLinear(make));

  // proof: field-1.8-1
  it('grows no faster than the text, whatever fragments repeat', () => {
    const fragment = fc.constantFrom(
      ...[
        '%',
        '%(',
        ')s',
        '%(k)s',
        '%%',
        '[',
        ']',
        '[a]',
        '[a.ssh]',
        '[DEFAULT]',
        '[general]',
        '[custom-x]',
        '\n',
        '\r',
        ' ',
      ],
      ...[
        '=',
        ':',
        '#',
        ';',
        'k=',
        'user=',
        'services=',
        'ip=',
        'binary=',
        'exec=',
        'ports=',
        'net=',
        'x',
        ',',
        '"',
        '\uFFFD',
      ],
    );
    fc.assert(
      fc.property(
        fc.array(fragment, { maxLength: 6 }),
        fc.array(fragment, { minLength: 1, maxLength: 6 }),
        (head, repeated) => {
          const unit = repeated.join('');
          assertLinear((size) => `[a]\nk=1\n${head.join('')}${unit.repeat(Math.floor((size - 100) / unit.length))}`);
        },
      ),
      { numRuns: 30 },
    );
  });
});
