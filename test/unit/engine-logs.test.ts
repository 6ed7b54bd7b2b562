import assert from 'node:assert/strict';
import { cleanLog, demultiplex, EVIDENCE_CHARACTERS } from '../../engine/docker/observe.ts';

function frame(stream: number, text: string): Buffer {
  const body = Buffer.from(text);
  const header = Buffer.alloc(8);
  header.writeUInt8(stream, 0);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

describe('the log of a container', () => {
  it('is taken apart into the text of both streams, in order', () => {
    assert.equal(
      demultiplex(Buffer.concat([frame(1, 'one\n'), frame(2, 'two\n'), frame(1, 'drei é\n')])),
      'one\ntwo\ndrei é\n',
    );
  });

  it('of a terminal is taken as it is', () => {
    assert.equal(demultiplex(Buffer.from('just text, longer than a header')), 'just text, longer than a header');
    assert.equal(demultiplex(Buffer.from('short')), 'short');
  });

  it('may end in the middle of a frame', () => {
    assert.equal(demultiplex(frame(1, 'abcdef').subarray(0, 11)), 'abc');
  });

  it('an empty one is empty', () => {
    assert.equal(cleanLog(demultiplex(Buffer.alloc(0))), '');
  });

  it('loses ANSI sequences and control characters', () => {
    assert.equal(cleanLog('\u001b[31mred\u001b[0m\r\nbell\u0007 \u009b31m\ttab\n'), 'red\nbell   tab');
  });

  it('keeps the last ten lines', () => {
    const text = Array.from({ length: 30 }, (_, index) => `line ${index}`).join('\n');
    assert.deepEqual(
      cleanLog(text).split('\n'),
      Array.from({ length: 10 }, (_, index) => `line ${index + 20}`),
    );
  });

  it('keeps the end of a line that is too long', () => {
    const cut = cleanLog(`${'x'.repeat(5_000)}end`);
    assert.equal(cut.length, EVIDENCE_CHARACTERS);
    assert.match(cut, /^…x+end$/);
  });
});
