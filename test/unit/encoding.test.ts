/** Bytes that are no UTF-8 are called by name and place, in a file and inside of a JSON body. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodingProblem, invalidUtf8At, jsonEncodingProblem, lineAt } from '../../fleet/encoding.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const nameOf = (bytes: Uint8Array): string | undefined => encodingProblem(bytes)?.encoding;

function decodes(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Bytes near the edges of what UTF-8 allows. */
const edgy = fc.uint8Array({ maxLength: 12 }).map((bytes) => bytes.map((byte) => (byte < 0x40 ? byte : byte | 0x80)));

describe('Encodings', () => {
  it('takes for UTF-8 what the platform takes for it', () => {
    fc.assert(
      fc.property(fc.oneof(edgy, fc.string({ unit: 'binary' }).map(bytesOf)), (bytes) => {
        const at = invalidUtf8At(bytes);
        assert.equal(at === null, decodes(bytes));
        if (at === null) return;
        assert.ok(decodes(bytes.slice(0, at)));
        // What begins there is no character, however long it is taken.
        for (let end = at + 1; end <= Math.min(at + 4, bytes.length); end += 1)
          assert.ok(!decodes(bytes.slice(0, end)));
      }),
      { numRuns: 500 },
    );
  });

  // proof: field-2.6-2
  it('names UTF-16 without its mark where little of it is English', () => {
    const text = Buffer.from(`[web]\n# ${'при日本'.repeat(60)}\n`, 'utf16le');
    assert.equal(nameOf(text), 'UTF-16 (little-endian)');
    assert.equal(nameOf(Buffer.from(text).swap16()), 'UTF-16 (big-endian)');
    assert.equal(nameOf(bytesOf(`[web]\nservices=ssh\0\n`)), undefined, 'a NUL is for the reader of the INI to tell');
  });

  it('names UTF-16 and UTF-32, with their mark and without', () => {
    const text = '[general]\nnet=10.77.0.0/24\n';
    const little = Uint8Array.from(Buffer.from(text, 'utf16le'));
    const big = Uint8Array.from(Buffer.from(text, 'utf16le').swap16());
    assert.equal(nameOf(little), 'UTF-16 (little-endian)');
    assert.equal(nameOf(big), 'UTF-16 (big-endian)');
    assert.equal(nameOf(Uint8Array.from([0xff, 0xfe, ...little])), 'UTF-16 (little-endian)');
    assert.equal(nameOf(Uint8Array.from([0xfe, 0xff, ...big])), 'UTF-16 (big-endian)');
    assert.equal(nameOf(Uint8Array.from([0xff, 0xfe, 0, 0, 0x5b, 0, 0, 0])), 'UTF-32 (little-endian)');
  });

  it('leaves UTF-8 alone, with its mark, and with a NUL that others judge', () => {
    for (const text of ['', 'a', '\uFEFF[a]', 'caf\u00e9 \u{1F41D}', '[a]\nservices=ssh\0'])
      assert.equal(nameOf(bytesOf(text)), undefined, text);
  });

  it('names the line of a byte, and the encodings that have it', () => {
    const latin = Uint8Array.from(Buffer.from('[a]\r\nservices=http\r[a.http]\nbanner=caf\u00e9', 'latin1'));
    const problem = encodingProblem(latin);
    assert.equal(problem?.encoding, 'ISO-8859-1 or Windows-1252');
    assert.equal(problem?.byte, 0xe9);
    assert.equal(lineAt(latin, problem?.offset ?? 0), 4);
    assert.equal(nameOf(Uint8Array.from([0x41, 0x93])), 'Windows-1252');
  });

  // proof: field-2.6-1
  it('names the line within ini_content, whatever stands before it', () => {
    const line = fc.string({ unit: fc.constantFrom('a', '"', '\\', ':', ',', '{', '\u00e9', '\t', '[') });
    const breaks = fc.constantFrom('\n', '\r\n', '\r');
    fc.assert(
      fc.property(fc.array(fc.tuple(line, breaks)), fc.string(), (lines, other) => {
        const before = lines.map(([text, end]) => text + end).join('');
        const json = JSON.stringify({ replace_fleet: true, other, ini_content: `${before}x=@`, more: ['\n'] });
        const bytes = bytesOf(json);
        const at = Buffer.from(bytes).lastIndexOf('x=@') + 2;
        bytes[at] = 0xe9;
        const problem = jsonEncodingProblem(bytes);
        // A lone CR before LF of the next line would be one break.
        const wanted = before.split(/\r\n?|\n/).length;
        assert.equal(problem?.offset, at);
        assert.match(problem?.sentence ?? '', new RegExp(`line ${wanted} of ini_content holds the byte 0xE9`));
      }),
    );
  });

  it('names the position where the byte stands in no text of lines', () => {
    const bytes = bytesOf('{"username": "caf@"}');
    bytes[17] = 0xe9;
    assert.equal(
      jsonEncodingProblem(bytes)?.sentence,
      'The body is not UTF-8: at position 17 stands the byte 0xE9, as ISO-8859-1 or Windows-1252 has it. Save the text as UTF-8 and send it again.',
    );
    assert.equal(
      jsonEncodingProblem(Uint8Array.from(Buffer.from('\uFEFF{}', 'utf16le')))?.sentence,
      'The body is UTF-16 (little-endian). Send it as UTF-8.',
    );
  });
});
