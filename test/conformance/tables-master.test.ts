/** The tables of the master's API, row by row (wire 1.1 to 1.9). */
import assert from 'node:assert/strict';
import {
  ADMIN_PASSWORD,
  type ApiHarness,
  type Call,
  createApiHarness,
  GENERAL,
} from '../support/master/api-harness.ts';
import { allow } from './allowances.ts';
import { answers, keysOf, row, shownBy } from './rows.ts';

const API = '/api/v1';
const DEPLOY = `${API}/deckies/deploy`;
const STRUCTURE = 'Bad Request: Schema structural violation (wrong type, extra fields, or invalid length).';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ROW_KEYS = [
  'completed_at',
  'decky_name',
  'error',
  'host_uuid',
  'id',
  'operation',
  'started_at',
  'status',
  'updated_at',
];

describe('conformance: the tables of the master’s API', function () {
  this.timeout(60_000);
  let api: ApiHarness;
  let token: string;
  let viewer: string;
  let newcomer: string;

  const ask = (method: string, path: string, call: Call = {}) => api.call(method, path, { token, ...call });
  const deploy = (ini: unknown, more: object = {}) => ask('POST', DEPLOY, { body: { ini_content: ini, ...more } });
  const deployed = async (...names: string[]): Promise<string[]> => {
    const answer = await deploy(GENERAL + names.map((name) => `[${name}]\nservices=ssh\n`).join(''));
    answers(answer, 202);
    await api.settle();
    return answer.json.lifecycle_ids;
  };

  before(async () => {
    api = await createApiHarness({ deps: () => ({ corsOrigins: ['https://console.example'] }) });
    token = await api.login('admin', ADMIN_PASSWORD);
    viewer = await api.viewer();
    const body = { username: 'nina', password: 'newcomer-password-1', role: 'admin' };
    await ask('POST', `${API}/config/users`, { body });
    newcomer = await api.login('nina', 'newcomer-password-1');
  });
  after(() => api?.close());

  describe('errors (wire 1.1)', () => {
    row('wire 1.1 row 1', 'no token or a wrong one is 401 with WWW-Authenticate', async () => {
      for (const wrong of [null, 'garbage']) {
        const answer = answers(
          await ask('GET', `${API}/deckies`, { token: wrong }),
          401,
          'Could not validate credentials',
        );
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
      }
    });
    row('wire 1.1 row 2', 'who must change the password gets 403', async () =>
      answers(await ask('GET', `${API}/deckies`, { token: newcomer }), 403, /^Password change required/),
    );
    row('wire 1.1 row 3', 'a role that may not gets 403', async () =>
      answers(await ask('POST', DEPLOY, { token: viewer, body: {} }), 403, 'Insufficient permissions'),
    );
    row('wire 1.1 row 4', 'a wrong structure is 400 with one fixed text', async () => {
      for (const body of [{}, { ini_content: 5 }, { ini_content: '[a]', colour: 'red' }])
        answers(await ask('POST', DEPLOY, { body }), 400, STRUCTURE);
    });
    row('wire 1.1 row 5', 'an empty INI is 409', async () => {
      for (const ini of ['   \n', '\n']) answers(await deploy(ini), 409, /empty/);
    });
    row('wire 1.1 row 6', 'broken INI syntax is 409', async () => {
      for (const ini of ['services=ssh\n', '[a\nservices=ssh\n', '\uFEFF[a]\nservices=ssh\n'])
        answers(await deploy(ini), 409, /./);
    });
    row('wire 1.1 row 7', 'an INI of comments is 409', async () =>
      answers(await deploy('# nothing\n'), 409, /No decky sections/),
    );
    row('wire 1.1 row 8', 'another invalid deploy is 422', async () =>
      answers(await deploy('[a]', { replace_fleet: 'banana' }), 422, 'Invalid INI config'),
    );
    row('wire 1.1 row 9', 'another invalid request is 422', async () =>
      answers(await ask('POST', `${API}/deckies/no%20name/mutate`), 422, 'Invalid request parameters'),
    );
    row('wire 1.1 row 10', 'an INI without any decky: ours is 409, not 422', async () => {
      allow('ours differs on purpose');
      answers(await deploy('[general]\nnet=10.77.0.0/24\n'), 409, /No decky sections/);
    });
    row('wire 1.1 row 11', 'what nobody foresaw is 500 with an error_id, and nothing of its cause', async () => {
      const lost = async (): Promise<never> => assert.fail('the cause');
      const broken = await createApiHarness({
        database: api.database,
        deps: () => ({ simulated: null, network: lost }),
      });
      const body = JSON.stringify({ ini_content: GENERAL });
      const headers = {
        authorization: `Bearer ${await broken.login('admin', ADMIN_PASSWORD)}`,
        'content-type': 'application/json',
      };
      const answer = await broken.app.request(DEPLOY, { method: 'POST', headers, body });
      assert.equal(answer.status, 500);
      const said = (await answer.json()) as { detail: string; error_id: string };
      assert.deepEqual(keysOf(said), ['detail', 'error_id']);
      assert.equal(said.detail, 'Internal Server Error');
    });
    row('wire 1.1 row 12', 'a body that is not announced as JSON is 415 in plain text', async () => {
      const answer = await ask('POST', DEPLOY, { raw: '{}', headers: { 'content-type': 'text/plain' } });
      answers(answer, 415, /application\/json/);
      assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
    });
    shownBy(
      'wire 1.1 row 13',
      'too many attempts are 429 with an `error`',
      'integration/api-auth.test.ts',
      'counts exactly ten wrong logins',
    );
    row('wire 1.1 row 14', 'no such route is 404, a wrong method 405', async () => {
      answers(await ask('GET', `${API}/nowhere`), 404, 'Not Found');
      answers(await ask('PATCH', `${API}/deckies`, { body: {} }), 405, 'Method Not Allowed');
    });
    row('wire 1.1 order', 'broken JSON comes before the token, the token before the body and the path', async () => {
      const headers = { 'content-type': 'application/json' };
      answers(await ask('POST', DEPLOY, { token: null, raw: '{', headers }), 422);
      answers(await ask('POST', DEPLOY, { token: null, body: {} }), 401);
      answers(await ask('POST', `${API}/deckies/no%20name/mutate`, { token: viewer }), 403);
    });
    row('wire 1.1 CORS', 'named origins only, those headers and methods, no credentials', async () => {
      const asked = { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'Last-Event-ID' };
      const preflight = (origin: string) =>
        api.app.request(DEPLOY, { method: 'OPTIONS', headers: { origin, ...asked } });
      const { headers } = await preflight('https://console.example');
      assert.equal(headers.get('access-control-allow-origin'), 'https://console.example');
      for (const name of ['Authorization', 'Content-Type', 'Last-Event-ID'])
        assert.ok(headers.get('access-control-allow-headers')?.includes(name), name);
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
        assert.ok(headers.get('access-control-allow-methods')?.includes(method), method);
      assert.equal(headers.get('access-control-allow-credentials'), null);
      assert.equal((await preflight('https://elsewhere.example')).headers.get('access-control-allow-origin'), null);
    });
  });

  describe('accounts (wire 1.2)', () => {
    const login = (body: unknown) => api.call('POST', `${API}/auth/login`, { body });
    row('wire 1.2 login', 'a token, its kind, and whether the password must be changed', async () => {
      const { json } = answers(await login({ username: 'admin', password: ADMIN_PASSWORD }), 200);
      assert.deepEqual(keysOf(json), ['access_token', 'must_change_password', 'token_type']);
      assert.equal(json.token_type, 'bearer');
      answers(await login({ username: 'admin', password: 'wrong' }), 401);
      answers(await login({ username: 'admin' }), 400, STRUCTURE);
    });
    shownBy(
      'wire 1.2 JWT',
      'HS256 with those claims, and no role',
      'integration/api-auth.test.ts',
      'issues the claims of DECNET',
    );
    shownBy(
      'wire 1.2 change-password',
      'ends all earlier tokens',
      'integration/api-auth.test.ts',
      'ends all earlier tokens with a change of the password',
    );
    row('wire 1.2 logout', 'the token no longer counts', async () => {
      const own = await api.login('admin', ADMIN_PASSWORD);
      assert.equal(typeof answers(await ask('POST', `${API}/auth/logout`, { token: own }), 200).json.message, 'string');
      answers(await ask('GET', `${API}/deckies`, { token: own }), 401);
    });
    row('wire 1.2 sse-ticket', 'a ticket of 60 s', async () => {
      const { json } = answers(await ask('POST', `${API}/auth/sse-ticket`, { token: viewer }), 200);
      assert.deepEqual([typeof json.ticket, json.expires_in], ['string', 60]);
    });
    row('wire 1.2 roles', 'a viewer looks and changes nothing', async () => {
      for (const path of ['deckies', 'system/deployment-mode', 'deckies/lifecycle?ids=x'])
        answers(await ask('GET', `${API}/${path}`, { token: viewer }), 200);
      for (const [method, path] of [
        ['POST', 'deckies/a/mutate'],
        ['PUT', 'deckies/a/mutate-interval'],
        ['DELETE', 'deckies/a'],
      ] as const)
        answers(await ask(method, `${API}/${path}`, { token: viewer }), 403);
    });
  });

  describe('the life of a decky (wire 1.3 to 1.9)', () => {
    row('wire 1.7', 'an empty fleet is an empty list', async () =>
      assert.deepEqual(answers(await ask('GET', `${API}/deckies`, { token: viewer }), 200).json, []),
    );
    row('wire 1.4 row 1', 'nothing to mutate without a deployment', async () =>
      answers(await ask('POST', `${API}/deckies/a/mutate`), 404, /No active deployment/),
    );
    row('wire 1.3 row 1', '`ini_content`: text of at most 512 Ki characters, with a section', async () => {
      answers(await deploy(5), 400);
      answers(await deploy(`[a]\nservices=ssh\n;${'x'.repeat(512 * 1024)}`), 422, 'Invalid INI config');
    });
    row('wire 1.3 row 2', '`replace_fleet`: a lax boolean, never null', async () => {
      answers(await deploy('[a]', { replace_fleet: null }), 422, 'Invalid INI config');
      answers(await deploy(`${GENERAL}[lax]\nservices=ssh\n`, { replace_fleet: 'yes' }), 202);
      await api.settle();
    });
    // proof: conformance
    row('wire 1.3 answer', 'an id for each decky, in the order of the INI', async () => {
      const { json } = answers(await deploy(`${GENERAL}[zeta]\nservices=ssh\n[alpha]\nservices=ssh\n`), 202);
      assert.deepEqual([json.mode, typeof json.message, json.lifecycle_ids.length], ['unihost', 'string', 2]);
      for (const id of json.lifecycle_ids) assert.match(id, UUID);
      const { rows } = (await ask('GET', `${API}/deckies/lifecycle?ids=${json.lifecycle_ids.join('&ids=')}`)).json;
      const names = json.lifecycle_ids.map(
        (id: string) => rows.find((one: { id: string }) => one.id === id).decky_name,
      );
      assert.deepEqual(names, ['zeta', 'alpha']);
      await api.settle();
    });
    row('wire 1.3 collision of names', '409 with the name and the way out', async () =>
      answers(await deploy(`${GENERAL}[zeta]\nservices=http\n`), 409, /zeta.*replace_fleet/),
    );
    row('wire 1.3 collision of addresses', '409 with the address', async () => {
      const [zeta] = (await ask('GET', `${API}/deckies`)).json.filter((one: { name: string }) => one.name === 'zeta');
      answers(await deploy(`${GENERAL}[eta]\nservices=ssh\nip=${zeta.ip}\n`), 409, new RegExp(zeta.ip));
    });
    row('wire 1.3 limit', 'a fleet over the limit is 409; the limit can be set', async () => {
      answers(await deploy(`${GENERAL}[many]\nservices=ssh\namount=11\n`), 409, /limit of 10$/);
      const set = (limit: number) =>
        ask('PUT', `${API}/config/deployment-limit`, { body: { deployment_limit: limit } });
      answers(await set(500), 200);
      answers(await set(0), 422);
      answers(await set(10), 200);
    });
    row('wire 1.4 answer', 'exactly one id', async () => {
      const { json } = answers(await ask('POST', `${API}/deckies/zeta/mutate`, { body: {} }), 202);
      assert.deepEqual([keysOf(json), json.lifecycle_ids.length], [['lifecycle_ids'], 1]);
      await api.settle();
    });
    row('wire 1.4 refusals', 'an unknown decky is 404, a name that is none 422', async () => {
      answers(await ask('POST', `${API}/deckies/nobody/mutate`), 404, /not found/);
      answers(await ask('POST', `${API}/deckies/no%20name/mutate`), 422);
    });
    row('wire 1.5', 'units of m, d, M, y; null; and what is none', async () => {
      const put = (name: string, body: unknown) => ask('PUT', `${API}/deckies/${name}/mutate-interval`, { body });
      const minutes = async () =>
        (await ask('GET', `${API}/deckies`)).json.find((one: { name: string }) => one.name === 'zeta').mutate_interval;
      for (const [text, wanted] of [
        ['30m', 30],
        ['1d', 1_440],
        ['2M', 86_400],
        ['1y', 525_600],
        ['1Y', 525_600],
        [null, null],
      ] as const) {
        const { json } = answers(await put('zeta', { mutate_interval: text }), 200);
        assert.deepEqual([json.message, await minutes()], ['Mutation interval updated', wanted]);
      }
      for (const text of ['0m', '5', '5x', '']) answers(await put('zeta', { mutate_interval: text }), 422);
      answers(await put('nobody', { mutate_interval: '5m' }), 404);
    });
    row('wire 1.6', 'an unknown decky is 404, a name that is none 422', async () => {
      answers(await ask('DELETE', `${API}/deckies/nobody`), 404);
      answers(await ask('DELETE', `${API}/deckies/no%20name`), 422);
    });
    shownBy(
      'wire 1.6 answer',
      '204 once it is down',
      'integration/api-deploys.test.ts',
      'answers 204 only for a decky that is down',
    );
    row('wire 1.7 items', 'each decky’s whole configuration, by name', async () => {
      const { json } = await ask('GET', `${API}/deckies`, { token: viewer });
      const names = json.map(({ name }: { name: string }) => name);
      assert.deepEqual(names, [...names].sort());
      for (const key of [
        'archetype',
        'base_image',
        'build_base',
        'hostname',
        'ip',
        'nmap_os',
        'service_config',
        'services',
      ])
        assert.ok(key in json[0], key);
    });
    row('wire 1.8 bounds', '1 to 200 ids', async () => {
      const path = `${API}/deckies/lifecycle`;
      answers(await ask('GET', path), 400);
      answers(await ask('GET', `${path}?${'ids=x&'.repeat(200)}`), 200);
      answers(await ask('GET', `${path}?${'ids=x&'.repeat(201)}`), 422);
    });
    row('wire 1.8 rows', 'those keys, by their start; unknown ids are left out', async () => {
      const ids = [...(await deployed('beta')), ...(await deployed('gamma')), '00000000-0000-4000-8000-000000000000'];
      const { rows } = answers(
        await ask('GET', `${API}/deckies/lifecycle?ids=${ids.reverse().join('&ids=')}`),
        200,
      ).json;
      assert.deepEqual(
        rows.map((one: { decky_name: string }) => one.decky_name),
        ['beta', 'gamma'],
      );
      assert.deepEqual(keysOf(rows[0]), ROW_KEYS);
    });
    row('wire 1.9 deployment-mode', 'mode, role and hosts; 401 without a token', async () => {
      const path = `${API}/system/deployment-mode`;
      assert.deepEqual((await ask('GET', path, { token: viewer })).json, {
        mode: 'unihost',
        role: 'master',
        swarm_host_count: 0,
      });
      answers(await ask('GET', path, { token: null }), 401);
    });
  });
});
