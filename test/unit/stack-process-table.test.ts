/** What can be said of a process that ends while it is looked at. */
import assert from 'node:assert/strict';
import { commandLine, identify, leadsItsGroup } from '../../lib/process-table.ts';

describe('a process that has just ended', () => {
  // Above the highest that Linux gives, 4,194,304.
  const GONE = 2 ** 30;

  it('is nobody, has no arguments and leads no group; none of these throws', () => {
    assert.deepEqual([identify(GONE), commandLine(GONE), leadsItsGroup(GONE)], [null, [], false]);
  });
});
