import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Tests write an apostrophe as `\'` where the title stands in single quotes. */
const titles = (file: string): string => readFileSync(root(file), 'utf8').replaceAll("\\'", "'");

describe('docs/proofs.md', () => {
  const page = readFileSync(root('docs/proofs.md'), 'utf8');
  const cells = page.split('\n').filter((line) => line.startsWith('|'));

  it('names tests that exist, by words of their titles', () => {
    let compared = 0;
    for (const cell of cells)
      for (const [, file = '', quoted = ''] of cell.matchAll(/`(test\/[\w/.-]+)` ((?:“[^”]+”(?:, )?)+)/g)) {
        assert.ok(existsSync(root(file)), `${file} does not exist`);
        for (const [, words = ''] of quoted.matchAll(/“([^”]+)”/g)) {
          assert.ok(titles(file).includes(words), `${file} has no “${words}”`);
          compared += 1;
        }
      }
    assert.ok(compared >= 30, `${compared} references`);
  });

  it('leaves no claim without a test or an *open*', () => {
    for (const cell of cells.filter((line) => !/^\|[-|]+$/.test(line) && !line.includes('shown by')))
      assert.match(cell, /`test\/|\*[Oo]pen/, cell);
  });
});
