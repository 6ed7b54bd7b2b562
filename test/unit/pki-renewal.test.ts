import assert from 'node:assert/strict';
import { isRenewalDue } from '../../adapters/pki/own-identity.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOW = new Date('2030-06-01T00:00:00Z');
const days = (count: number): Date => new Date(NOW.getTime() + count * DAY_MS);
const due = (before: number, after: number) => isRenewalDue({ notBefore: days(before), notAfter: days(after) }, NOW);

describe('renewal of certificates (gaps, D)', () => {
  it('is due when less than 30 days are left', () => {
    assert.equal(due(-795, 30), false);
    assert.equal(due(-796, 29), true);
  });
  it('of a short certificate is due in its last third', () => {
    assert.equal(due(-4, 2.1), false);
    assert.equal(due(-4, 1.9), true);
  });
  it('is due when it has ended', () => assert.equal(due(-10, -1), true));
});
