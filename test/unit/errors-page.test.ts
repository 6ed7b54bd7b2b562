import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ERRORS, renderErrorsPage } from '../../fleet/errors.ts';

describe('docs/errors.md', () => {
  it('is what the table makes it; `npm run docs:errors` writes it', () => {
    assert.equal(readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8'), renderErrorsPage());
  });

  it('has a row for every code', () => {
    for (const code of Object.keys(ERRORS)) assert.ok(renderErrorsPage().includes(`| \`${code}\` |`), code);
  });
});
