import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LONGEST_STEP, retriedText } from '../../fleet/text.ts';

const DEADLINE = Date.parse('2026-11-24T12:34:56Z');

describe('the step of work that is retried', () => {
  it('says what is tried, until when, and why', () => {
    assert.equal(
      retriedText('making network', 'the Docker Engine does not answer\nmore', DEADLINE),
      'making network; retried until 12:34:56Z; last error: the Docker Engine does not answer',
    );
    assert.equal(retriedText('making network', 'no', null), 'making network; retried; last error: no');
  });

  // proof: field-3.7-3
  it('fits into a row with all three, however long they are', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2_000 }), fc.string({ maxLength: 4_000 }), (step, error) => {
        const text = retriedText(step, error, DEADLINE);
        assert.ok(text.length <= LONGEST_STEP);
        assert.ok(text.includes('; retried until 12:34:56Z; last error: '));
      }),
    );
  });
});
