import assert from 'node:assert/strict';
import { apiVariables, rolloutDefaults } from '../../api/config.ts';
import { EnvironmentError, readEnvironment } from '../../lib/environment.ts';

const DATABASE_URL = 'postgres://deckhand:secret@127.0.0.1:5432/deckhand';
const read = (variables: Record<string, string> = {}) => readEnvironment(apiVariables, { DATABASE_URL, ...variables });
const wrong = (variables: Record<string, string>, line: RegExp): void => {
  assert.throws(
    () => read(variables),
    (error) => error instanceof EnvironmentError && line.test(error.message),
  );
};

describe('API configuration', () => {
  it('needs a database, all else has a default', () => {
    const config = read();
    assert.equal(config.DECKHAND_API_HOST, '127.0.0.1');
    assert.equal(config.DECKHAND_API_PORT, 8000);
    assert.equal(config.DECKHAND_ADMIN_USER, 'admin');
    assert.equal(config.DECKHAND_ADMIN_MUST_CHANGE_PASSWORD, true);
    assert.equal(config.DECKHAND_DEPLOYMENT_LIMIT, 10);
    assert.equal(config.DECKHAND_JWT_EXP_MINUTES, 240);
    assert.equal(config.DECKHAND_NETWORK, 'macvlan', 'auto is macvlan');
    assert.deepEqual(rolloutDefaults(config), {});
    assert.throws(() => readEnvironment(apiVariables, {}), /DATABASE_URL/);
  });

  it('reads rollout options as durations', () => {
    const config = read({
      DECKHAND_MAX_PARALLEL: '4',
      DECKHAND_MIN_HEALTHY_TIME: '500ms',
      DECKHAND_HEALTHY_DEADLINE: '2m',
      DECKHAND_PROGRESS_DEADLINE: '1h',
      DECKHAND_HOST_LOST_AFTER: '2s',
    });
    assert.deepEqual(rolloutDefaults(config), {
      maxParallel: 4,
      minHealthyTimeMs: 500,
      healthyDeadlineMs: 120_000,
      progressDeadlineMs: 3_600_000,
      hostLostAfterMs: 2_000,
    });
    wrong({ DECKHAND_MIN_HEALTHY_TIME: 'soon' }, /DECKHAND_MIN_HEALTHY_TIME: "soon" is no duration/);
  });

  it('refuses what would be unsafe', () => {
    wrong({ DECKHAND_JWT_SECRET: 'x'.repeat(31) }, /DECKHAND_JWT_SECRET: must have 32/);
    wrong({ DECKHAND_CORS_ORIGINS: '*' }, /DECKHAND_CORS_ORIGINS: must name origins/);
    wrong({ DECKHAND_CORS_ORIGINS: 'https://*.example' }, /DECKHAND_CORS_ORIGINS: must name origins/);
    wrong({ DECKHAND_TLS_CERT: 'api.crt' }, /DECKHAND_TLS_KEY: is missing/);
    wrong({ DECKHAND_TLS_KEY: 'api.key' }, /DECKHAND_TLS_CERT: is missing/);
    wrong({ DECKHAND_MAX_CONNECTIONS: '0' }, /DECKHAND_MAX_CONNECTIONS/);
    wrong({ DECKHAND_ADMIN_PASSWORD: 'short' }, /DECKHAND_ADMIN_PASSWORD: must have 12/);
    wrong({ DECKHAND_LIMITER_ENABLED: 'no', DECKHAND_API_HOST: '0.0.0.0' }, /DECKHAND_LIMITER_ENABLED: may be false/);
    assert.equal(read({ DECKHAND_LIMITER_ENABLED: 'no' }).DECKHAND_LIMITER_ENABLED, false);
  });
});
