import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { apiTypes } from '../../api/scripts/print-api-types.ts';

describe('cli/api.d.ts', () => {
  it('is what `npm run generate:api-types` makes of the API as it is', async () => {
    const committed = readFileSync(new URL('../../cli/api.d.ts', import.meta.url), 'utf8');
    assert.equal(committed, await apiTypes(), 'Run `npm run generate:api-types` and commit the file.');
  }).timeout(20_000);
});
