import assert from 'node:assert/strict';
import { ApiRefusal, ApiUnreachable, createApiClient } from '../../cli/api-client.ts';
import { resolveConnection } from '../../cli/connection.ts';
import { type CliError, EXIT } from '../../cli/errors.ts';
import { ScriptedMaster } from '../support/master/scripted-master.ts';

const never = new AbortController().signal;

describe('cli api client', () => {
  let master: ScriptedMaster;
  const client = (environment = master.environment) => createApiClient(() => resolveConnection({}, environment), never);
  beforeEach(async () => {
    master = await new ScriptedMaster(() => ({ status: 200, body: { ok: true } })).start();
  });
  afterEach(() => master.stop());

  it('logs in once, and again when the token has expired (gaps, D)', async () => {
    const api = client();
    await api.call((asked) => asked.GET('/api/v1/fleet'));
    await api.call((asked) => asked.GET('/api/v1/fleet'));
    assert.equal(master.count('POST', '/api/v1/auth/login'), 1);
    master.tokenGeneration += 1;
    assert.deepEqual((await api.call((asked) => asked.GET('/api/v1/fleet'))).body, { ok: true });
    assert.equal(master.count('POST', '/api/v1/auth/login'), 2);
  });

  // proof: field-4-6
  it('shows the login key at the login, and nowhere else', async () => {
    const connect = () => ({ ...resolveConnection({}, master.environment), loginKey: 'k' });
    await createApiClient(connect, never).call((asked) => asked.GET('/api/v1/fleet'));
    assert.deepEqual(
      master.requests.map(({ path, headers }) => [path, headers['deckhand-login-key']]),
      [
        ['/api/v1/auth/login', 'k'],
        ['/api/v1/fleet', undefined],
      ],
    );
  });

  it('uses a given token, and does not log in', async () => {
    const api = client({ DECKHAND_API_URL: master.url, DECKHAND_TOKEN: 'token-1' });
    await api.call((asked) => asked.GET('/api/v1/fleet'));
    assert.equal(master.count('POST', '/api/v1/auth/login'), 0);
  });

  // proof: promise-10
  it('says that the credentials don’t do, without naming the password', async () => {
    const wrong = { ...master.environment, DECKHAND_PASSWORD: 'not-the-password' };
    await assert.rejects(
      client(wrong).call((asked) => asked.GET('/api/v1/fleet')),
      (error: CliError) => {
        assert.equal(error.exitCode, EXIT.couldNotAsk);
        assert.doesNotMatch(`${error.message} ${error.advice}`, /not-the-password/);
        return true;
      },
    );
    const expired = { DECKHAND_API_URL: master.url, DECKHAND_TOKEN: 'token-0' };
    await assert.rejects(
      client(expired).call((asked) => asked.GET('/api/v1/fleet')),
      { exitCode: EXIT.couldNotAsk },
    );
    const none = { DECKHAND_API_URL: master.url };
    await assert.rejects(
      client(none).call((asked) => asked.GET('/api/v1/fleet')),
      { exitCode: EXIT.couldNotAsk },
    );
  });

  it('tells a refusal with its sentence and code', async () => {
    master.script = () => ({
      status: 409,
      body: { detail: 'decky web-01 is busy' },
      headers: { 'deckhand-error-code': 'DeckyBusy' },
    });
    await assert.rejects(
      client().call((asked) => asked.POST('/api/v1/deckies/deploy', { body: { ini_content: '' } })),
      (error: unknown) => {
        assert.ok(error instanceof ApiRefusal);
        assert.deepEqual(
          [error.exitCode, error.status, error.code, error.message],
          [1, 409, 'DeckyBusy', 'decky web-01 is busy'],
        );
        return true;
      },
    );
  });

  it('tells 503 as no answer, with the pause that it asks for', async () => {
    master.script = () => ({ status: 503, body: { detail: 'no worker' }, headers: { 'retry-after': '7' } });
    await assert.rejects(
      client().call((asked) => asked.GET('/api/v1/fleet')),
      (error: unknown) => {
        assert.ok(error instanceof ApiUnreachable);
        assert.deepEqual([error.retryAfterMs, error.message], [7000, 'no worker']);
        return true;
      },
    );
  });

  it('tells a cut and a refused connection as no answer, and finds the API again', async () => {
    const api = client();
    assert.equal(api.heard, false);
    master.script = () => 'hangUp';
    await assert.rejects(
      api.call((asked) => asked.GET('/api/v1/fleet')),
      ApiUnreachable,
    );
    await master.stop();
    await assert.rejects(
      api.call((asked) => asked.GET('/api/v1/fleet')),
      /does not answer: /,
    );
    master.script = () => ({ status: 200, body: [] });
    await master.start();
    assert.deepEqual((await api.call((asked) => asked.GET('/api/v1/fleet'))).body, []);
    assert.equal(api.heard, true);
  });

  it('repeats a query key for each value', async () => {
    await client().call((asked) =>
      asked.GET('/api/v1/deckies/lifecycle', { params: { query: { ids: ['a', 'b&c'] } } }),
    );
    assert.deepEqual(master.requests.at(-1)?.query.getAll('ids'), ['a', 'b&c']);
  });
});
