import assert from 'node:assert/strict';
import { isoOfText } from '../../adapters/postgres/rows.ts';

describe('a time as PostgreSQL writes it', () => {
  // proof: lifecycle-rate
  it('has six places on the wire, whatever was cut off', () => {
    assert.equal(isoOfText('2026-11-24 18:36:51.123456'), '2026-11-24T18:36:51.123456Z');
    assert.equal(isoOfText('2026-11-24 18:36:51.12'), '2026-11-24T18:36:51.120000Z');
    assert.equal(isoOfText('2026-11-24 18:36:51'), '2026-11-24T18:36:51.000000Z');
  });
});
