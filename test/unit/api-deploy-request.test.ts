import assert from 'node:assert/strict';
import { refusal } from '../../api/errors.ts';
import { DeployBody, idempotencyOf, rolloutOptions } from '../../api/routes/deckies.ts';

const parse = (more: object = {}): DeployBody => DeployBody.parse({ ini_content: '[a]', ...more });
const codeOf = (body: unknown): string | null => {
  const result = DeployBody.safeParse(body);
  return result.success ? null : refusal(result.error.issues, body, '/api/v1/deckies/deploy').code;
};

describe('deploy request', () => {
  it('reads booleans as DECNET does', () => {
    for (const word of [true, 1, '1', 'true', 'T', 'yes', 'Y', 'on'])
      assert.equal(parse({ replace_fleet: word }).replace_fleet, true);
    for (const word of [false, 0, '0', 'False', 'f', 'no', 'N', 'off'])
      assert.equal(parse({ replace_fleet: word }).replace_fleet, false);
    assert.equal(parse().replace_fleet, false);
    for (const word of [null, 'banana', 2, '', [], {}])
      assert.equal(codeOf({ ini_content: '[a]', replace_fleet: word }), 'InvalidParameters');
  });

  it('tells a wrong structure from a wrong value', () => {
    assert.equal(codeOf({}), 'InvalidRequest');
    assert.equal(codeOf({ ini_content: null }), 'InvalidRequest');
    assert.equal(codeOf({ ini_content: '[a]', more: 1 }), 'InvalidRequest');
    assert.equal(codeOf({ ini_content: 'x'.repeat(524_289) }), 'InvalidParameters');
    assert.equal(codeOf({ ini_content: 'x'.repeat(524_288) }), null);
    assert.equal(codeOf(null), 'InvalidParameters');
    assert.equal(codeOf({ ini_content: '[a]', max_parallel: 1.5 }), 'InvalidParameters');
  });

  it('takes only the rollout options that are given', () => {
    assert.deepEqual(rolloutOptions(parse()), {});
    const options = rolloutOptions(parse({ max_parallel: 3, min_healthy_time: 0, progress_deadline: '10m' }));
    assert.deepEqual(options, { maxParallel: 3, minHealthyTimeMs: 0, progressDeadlineMs: 600_000 });
    assert.throws(() => rolloutOptions(parse({ host_lost_after: 'never' })), /host_lost_after: "never" is no duration/);
  });

  it('hashes what is asked for, not how it is written', () => {
    const hashOf = (body: object): string | undefined => idempotencyOf('k', parse(body))?.body_hash;
    assert.equal(hashOf({ replace_fleet: 'yes' }), hashOf({ replace_fleet: true }));
    assert.notEqual(hashOf({ replace_fleet: true }), hashOf({}));
    assert.notEqual(hashOf({ ini_content: '[b]' }), hashOf({}));
    assert.equal(idempotencyOf(undefined, parse()), null);
    for (const key of ['', 'ä', 'k'.repeat(256)]) assert.throws(() => idempotencyOf(key, parse()), /Idempotency-Key/);
  });
});
