/** docs/proofs.md is what the claims and the tags in the tests make. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { findProofs, problemsOf, proofsIn, proofsPage } from '../proofs/page.ts';

const claims = [{ title: 'All', claims: [{ id: 'one', claim: 'It holds.' }] }];

describe('docs/proofs.md', () => {
  it('has a test for each claim, and a claim for each tag', () => {
    assert.deepEqual(problemsOf(findProofs()), []);
  });
  it('is what `npm run docs:proofs` writes', () => {
    const page = readFileSync(new URL('../../docs/proofs.md', import.meta.url), 'utf8');
    assert.equal(page, proofsPage(findProofs()), 'run `npm run docs:proofs`');
  });
});

describe('a tag', () => {
  const tag = '// proof:';
  it('takes the title of the test below it, and the longest text of a row of a table', () => {
    const source = [`  ${tag} one, two`, '  it(', "    'isn\\'t',", `  ${tag} one`, "  ['api', 'the API'],"];
    assert.deepEqual(proofsIn('a.ts', source.join('\n')), [
      { ids: ['one', 'two'], file: 'a.ts', title: "isn't" },
      { ids: ['one'], file: 'a.ts', title: 'the API' },
    ]);
  });
  it('is told where it names no claim, where nothing stands below, and where a claim has none', () => {
    const proofs = proofsIn('a.ts', `${tag} two\nconst x = 1;`);
    assert.deepEqual(problemsOf(proofs, claims), [
      'no test has the tag one',
      'a.ts: no title below two',
      'a.ts: no claim has the id two',
    ]);
  });
});
