import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const numbers = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);

/** All that was found in the original. */
const GAPS = [...numbers('A', 14), ...numbers('B', 18), ...numbers('C', 22), ...numbers('D', 7)];

/** Tests write an apostrophe as `\'` where the title stands in single quotes. */
const titles = (file: string): string => readFileSync(root(file), 'utf8').replaceAll("\\'", "'");

describe('docs/gaps.md', () => {
  const rows = readFileSync(root('docs/gaps.md'), 'utf8')
    .split('\n')
    .filter((line) => /^\| [A-D]\d+ \|/.test(line));

  it('has each gap once, in order', () => {
    assert.deepEqual(
      rows.map((row) => /^\| (\w+) \|/.exec(row)?.[1]),
      GAPS,
    );
  });

  // proof: gaps-page
  it('names a test for each, by words of its title', () => {
    for (const row of rows) {
      const references = [...row.matchAll(/`(test\/[\w/.-]+)` ((?:“[^”]+”(?:, )?)+)/g)];
      assert.notEqual(references.length, 0, row);
      for (const [, file = '', quoted = ''] of references) {
        assert.ok(existsSync(root(file)), `${file} does not exist`);
        for (const [, words = ''] of quoted.matchAll(/“([^”]+)”/g))
          assert.ok(titles(file).includes(words), `${file} has no “${words}”`);
      }
    }
  });
});
