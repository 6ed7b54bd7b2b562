import assert from 'node:assert/strict';
import fc from 'fast-check';
import { deckies, harmless, indented, oneLine, shortDuration } from '../../cli/text.ts';

describe('cli text', () => {
  it('lets no escape sequence of an attacker’s log line reach the terminal', () => {
    assert.equal(harmless('\u001b[2J\u001b]0;owned\u0007login\u0000: \u202eroot\u009b31m'), 'login: root');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
        assert.doesNotMatch(harmless(text), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      }),
    );
  });

  it('cuts a line to its width and keeps it one line', () => {
    assert.equal(oneLine('pulling\n  image', 40), 'pulling image');
    assert.equal(oneLine('0123456789', 5), '0123…');
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 40 }), (text, width) => oneLine(text, width).length <= width),
    );
  });

  it('indents every line of the evidence', () => {
    assert.equal(indented('one\ntwo', '  '), '  one\n  two');
  });

  it('writes durations short', () => {
    assert.deepEqual([0, 3200, 65_000, 3_725_000, -5].map(shortDuration), ['0.0s', '3.2s', '1m05s', '1h02m', '0.0s']);
  });

  it('counts deckies in words', () => {
    assert.deepEqual([deckies(1), deckies(2)], ['1 decky', '2 deckies']);
  });
});
