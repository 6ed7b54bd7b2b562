import assert from 'node:assert/strict';
import { FailureLimit } from '../../api/auth.ts';

describe('failure limit', () => {
  let now: number;
  const limit = (maxKeys = 100): FailureLimit =>
    new FailureLimit({ failures: 3, windowMs: 60_000, now: () => now, maxKeys });
  beforeEach(() => {
    now = 1_000_000;
  });

  it('lets pass until the failures are used up, then says how long to wait', () => {
    const failures = limit();
    for (let turn = 0; turn < 3; turn += 1) {
      assert.equal(failures.retryAfterSeconds(['peer']), null);
      failures.recordFailure(['peer']);
      now += 1_000;
    }
    assert.equal(failures.retryAfterSeconds(['peer']), 57);
    assert.equal(failures.retryAfterSeconds(['another']), null);
  });

  it('slides: each failure counts for one window', () => {
    const failures = limit();
    for (const moment of [0, 10_000, 20_000]) {
      now = 1_000_000 + moment;
      failures.recordFailure(['peer']);
    }
    now = 1_000_000 + 60_000;
    assert.equal(failures.retryAfterSeconds(['peer']), null);
    failures.recordFailure(['peer']);
    assert.equal(failures.retryAfterSeconds(['peer']), 10);
  });

  it('counts every key for itself, and the longest wait holds', () => {
    const failures = limit();
    for (let turn = 0; turn < 3; turn += 1) failures.recordFailure(['user']);
    assert.equal(failures.retryAfterSeconds(['peer', 'user']), 60);
  });

  it('remembers a bounded number of keys, and forgets those first that failed longest ago', () => {
    const failures = limit(2);
    for (const key of ['first', 'second']) for (let turn = 0; turn < 3; turn += 1) failures.recordFailure([key]);
    failures.recordFailure(['first']);
    failures.recordFailure(['third']);
    assert.equal(failures.retryAfterSeconds(['second']), null);
    assert.equal(failures.retryAfterSeconds(['first']), 60);
  });
});
