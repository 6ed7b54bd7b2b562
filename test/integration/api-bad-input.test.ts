/** Bad input: each a 4xx with a sentence, and nothing changed (gaps A11, B1, C20). */
import assert from 'node:assert/strict';
import { BODY_LIMIT_BYTES, STRANGER_BODY_LIMIT_BYTES } from '../../api/middleware.ts';
import {
  ADMIN_PASSWORD,
  type ApiHarness,
  type Call,
  createApiHarness,
  GENERAL,
} from '../support/master/api-harness.ts';

const DEPLOY = '/api/v1/deckies/deploy';
const STRUCTURE = 'Bad Request: Schema structural violation (wrong type, extra fields, or invalid length).';

describe('API: bad input', () => {
  let api: ApiHarness;
  let token: string;

  before(async () => {
    api = await createApiHarness();
    token = await api.login('admin', ADMIN_PASSWORD);
  });
  after(() => api.close());

  /** Refused with that status and sentence, and the books are as before. */
  async function refused(call: Call, status: number, detail: string | RegExp, code: string): Promise<void> {
    const before = await api.counts();
    const answer = await api.call('POST', DEPLOY, { token, ...call });
    assert.equal(answer.status, status, answer.text);
    assert.deepEqual(Object.keys(answer.json), ['detail']);
    if (typeof detail === 'string') assert.equal(answer.json.detail, detail);
    else assert.match(answer.json.detail, detail);
    assert.equal(answer.headers.get('deckhand-error-code'), code);
    assert.deepEqual(await api.counts(), before);
  }

  const ini = (text: string): Call => ({ body: { ini_content: text } });
  const net = (text: string): Call => ini(GENERAL + text);

  const cases: readonly [string, Call, number, string | RegExp, string][] = [
    ['only comments', ini('# nothing\n'), 409, 'Invalid INI config structure: No decky sections found.', 'InvalidIni'],
    ['a lone % (C19)', net('[a]\nservices=http\n[a.http]\nserver_header=100%\n'), 409, /%/, 'InvalidIni'],
    ['a NUL', ini('[a]\nservices=ssh\0\n'), 409, /syntax or characters/, 'InvalidIni'],
    [
      'a name twice after expansion (A11)',
      net('[g]\nservices=ssh\namount=2\n[g-01]\nservices=ssh\n'),
      409,
      /g-01/,
      'InvalidDecky',
    ],
    [
      'an address outside the net (C20)',
      net('[a]\nservices=ssh\nip=10.78.0.9\n'),
      409,
      /10\.78\.0\.9/,
      'InvalidAddress',
    ],
    ['the gateway’s address (C20)', net('[a]\nservices=ssh\nip=10.77.0.1\n'), 409, /10\.77\.0\.1/, 'InvalidAddress'],
    [
      'an address twice (C20)',
      net('[a]\nip=10.77.0.9\nservices=ssh\n[b]\nip=10.77.0.9\nservices=ssh\n'),
      409,
      /10\.77\.0\.9/,
      'InvalidAddress',
    ],
    ['101 of a kind', net('[a]\nservices=ssh\namount=101\n'), 409, /101/, 'InvalidDecky'],
    [
      'more than the limit',
      net('[a]\nservices=ssh\namount=11\n'),
      409,
      /exceeding the configured limit of 10$/,
      'DeploymentLimit',
    ],
    [
      'an INI of 600 KB',
      ini(`[a]\nservices=ssh\n;${'x'.repeat(600 * 1024)}`),
      422,
      'Invalid INI config',
      'InvalidParameters',
    ],
    [
      'a body over the limit',
      { raw: `"${'x'.repeat(BODY_LIMIT_BYTES)}"`, headers: { 'content-type': 'application/json' } },
      422,
      'Invalid INI config',
      'InvalidParameters',
    ],
    [
      'replace_fleet null',
      { body: { ini_content: '[a]', replace_fleet: null } },
      422,
      'Invalid INI config',
      'InvalidParameters',
    ],
    [
      'replace_fleet banana',
      { body: { ini_content: '[a]', replace_fleet: 'banana' } },
      422,
      'Invalid INI config',
      'InvalidParameters',
    ],
    ['an unknown field', { body: { ini_content: '[a]', colour: 'red' } }, 400, STRUCTURE, 'InvalidRequest'],
    ['no body', {}, 400, STRUCTURE, 'InvalidRequest'],
    ['a list as the body', { body: [] }, 422, 'Invalid INI config', 'InvalidParameters'],
    [
      // proof: field-2.6-1
      'an INI that is not UTF-8',
      {
        raw: Uint8Array.from(Buffer.from('{"ini_content": "[a]\\n[a.http]\\nserver_header=caf\u00e9"}', 'latin1')),
        headers: { 'content-type': 'application/json' },
      },
      422,
      /^The body is not UTF-8: line 3 of ini_content holds the byte 0xE9, as ISO-8859-1 or Windows-1252 has it\./,
      'InvalidParameters',
    ],
    [
      'JSON of 100,000 nested lists',
      {
        raw: `{"ini_content":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
        headers: { 'content-type': 'application/json' },
      },
      400,
      STRUCTURE,
      'InvalidRequest',
    ],
    [
      'no duration',
      { body: { ini_content: GENERAL, min_healthy_time: 'soon' } },
      422,
      /min_healthy_time: "soon" is no duration/,
      'InvalidParameters',
    ],
    [
      'a number as a duration',
      { body: { ini_content: GENERAL, healthy_deadline: 5 } },
      422,
      /healthy_deadline/,
      'InvalidParameters',
    ],
    [
      'max_parallel 0',
      { body: { ini_content: GENERAL, max_parallel: 0 } },
      422,
      'Invalid INI config',
      'InvalidParameters',
    ],
    [
      'an Idempotency-Key of 300 characters',
      { ...net('[a]\nservices=ssh\n'), headers: { 'idempotency-key': 'k'.repeat(300) } },
      422,
      /Idempotency-Key/,
      'InvalidParameters',
    ],
  ];
  for (const [what, call, status, detail, code] of cases)
    it(`refuses ${what}`, () => refused(call, status, detail, code));

  // proof: schemathesis
  it('answers texts that PostgreSQL can’t hold with a 4xx, wherever they stand, and audits them', async () => {
    const texts = ['\0', 'a\u0000b', '\uD800', [{ v: { '\0': null } }], ['\0'], ['\uDFFF']];
    const bodies: readonly (readonly [string, string, string])[] = [
      ['POST', '/deckies/deploy', 'ini_content'],
      ['POST', '/deckies/deploy', 'min_healthy_time'],
      ['POST', '/deckies/a/mutate', 'services'],
      ['PUT', '/deckies/a/mutate-interval', 'mutate_interval'],
      ['POST', '/reconcile', 'host'],
      ['POST', '/reconcile', 'deckies'],
      ['PUT', '/config/reconcile-interval', 'reconcile_interval'],
      ['PUT', '/config/global-mutation-interval', 'global_mutation_interval'],
      ['POST', '/config/users', 'username'],
    ];
    const seen: string[] = [];
    for (const [method, path, field] of bodies)
      for (const text of texts) {
        const users = { username: 'nul', password: 'viewer-password-1', role: 'viewer' };
        const body = { ...(path === '/config/users' ? users : {}), [field]: text };
        const answer = await api.call(method, `/api/v1${path}`, { token, body });
        if (answer.status < 400 || answer.status > 499) seen.push(`${method} ${path} ${field}: ${answer.status}`);
      }
    assert.deepEqual(seen, []);
    const audit = await api.call('GET', '/api/v1/audit?limit=200', { token });
    const requests = audit.json.entries.map(({ request }: { request: object }) => JSON.stringify(request));
    assert.ok(requests.includes(JSON.stringify({ host: 'a\uFFFDb' })), requests.join('\n'));
  });

  // proof: bad-input
  it('refuses a body that is not announced as JSON, before it looks at the token', async () => {
    for (const headers of [{ 'content-type': 'text/plain' }, { 'content-type': 'multipart/form-data; boundary=x' }]) {
      const answer = await api.call('POST', DEPLOY, { raw: '{}', headers });
      assert.equal(answer.status, 415);
      assert.equal(answer.text, 'Unsupported Media Type — Content-Type must be application/json');
      assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
    }
  });

  it('refuses the media type of a body that is too large without reading it', async () => {
    const headers = { 'content-type': 'text/plain', 'content-length': String(BODY_LIMIT_BYTES + 1) };
    assert.equal((await api.call('POST', DEPLOY, { raw: 'x'.repeat(BODY_LIMIT_BYTES + 1), headers })).status, 415);
  });

  it('reads no more than 64 KiB of whom shows no token that was issued', async () => {
    const json = { 'content-type': 'application/json' };
    const status = async (size: number, call: Call) =>
      (
        await api.call('POST', DEPLOY, {
          raw: `"${'x'.repeat(size - 2)}"`,
          ...call,
          headers: { ...json, ...call.headers },
        })
      ).status;
    const forged = { headers: { authorization: `Bearer ${token.slice(0, -3)}AAA` } };
    for (const stranger of [{}, forged]) {
      assert.equal(await status(STRANGER_BODY_LIMIT_BYTES, stranger), 401);
      assert.equal(await status(STRANGER_BODY_LIMIT_BYTES + 1, stranger), 422);
    }
    const viewer = await api.viewer('big');
    assert.equal(await status(STRANGER_BODY_LIMIT_BYTES + 1, { token: viewer }), 403);
  });

  it('judges JSON before the token, the token before the schema and the path’s pattern', async () => {
    const json = { 'content-type': 'application/json' };
    assert.equal((await api.call('POST', DEPLOY, { raw: '{', headers: json })).status, 422);
    assert.equal((await api.call('POST', DEPLOY, { body: {} })).status, 401);
    assert.equal((await api.call('DELETE', '/api/v1/deckies/we%20b')).status, 401);
    assert.equal((await api.call('DELETE', '/api/v1/deckies/we%20b', { token })).status, 422);
    const viewer = await api.viewer();
    assert.equal((await api.call('POST', DEPLOY, { token: viewer, body: {} })).status, 403);
    assert.equal((await api.call('DELETE', '/api/v1/deckies/we%20b', { token: viewer })).status, 403);
  });

  it('answers 404 and 405 with a detail, and names the methods', async () => {
    const unknown = await api.call('GET', '/api/v1/deckies/a/b/c', { token });
    assert.deepEqual([unknown.status, unknown.json], [404, { detail: 'Not Found' }]);
    const wrong = await api.call('PUT', '/api/v1/deckies', { token, body: {} });
    assert.deepEqual([wrong.status, wrong.json], [405, { detail: 'Method Not Allowed' }]);
    assert.match(wrong.headers.get('allow') ?? '', /GET/);
  });

  it('takes the spellings of a bool that DECNET takes', async () => {
    for (const replace_fleet of [true, 1, '1', 'yes', 'ON', 'True', 't', 'y']) {
      const answer = await api.call('POST', DEPLOY, { token, body: { ini_content: '# none', replace_fleet } });
      assert.equal(answer.status, 409, `${replace_fleet}: ${answer.text}`);
    }
  });

  it('finds ids, names and numbers that nobody could have', async () => {
    const get = async (path: string) => (await api.call('GET', `/api/v1${path}`, { token })).status;
    assert.equal(await get('/deckies/lifecycle?ids=%00&ids=no-uuid'), 200);
    assert.equal(await get(`/deckies/lifecycle?${'ids=x&'.repeat(201)}`), 422);
    assert.equal(await get('/deployments/%00'), 404);
    assert.equal(await get('/deployments?limit=0'), 422);
    assert.equal(await get('/deployments?limit=many'), 422);
    const remove = async (path: string) => (await api.call('DELETE', `/api/v1${path}`, { token })).status;
    assert.equal(await remove('/config/users/%00'), 404);
    assert.equal(await remove(`/deckies/${'x'.repeat(129)}`), 422);
    assert.equal(await remove('/deckies/%zz'), 422);
  });

  // proof: field-2.7-1
  it('accepts typing mistakes, and warns in the answer, the deployment and an event', async () => {
    const made = await api.call('POST', DEPLOY, { token, ...net('[typo]\nservices=ssh\nnmap_oss=linux\n') });
    assert.equal(made.status, 202, made.text);
    const warning = '[typo] nmap_oss= (line 8) is not known here and was ignored. Did you mean nmap_os=?';
    assert.deepEqual(made.json.warnings, [warning]);
    const path = made.headers.get('location') ?? '';
    assert.deepEqual((await api.call('GET', path, { token })).json.warnings, [warning]);
    const events = await api.database.sql`select decky_name, payload from outbox where type = 'warning'`;
    const [lifecycle_id] = made.json.lifecycle_ids;
    assert.deepEqual([...events], [{ decky_name: 'typo', payload: { lifecycle_id, warning } }]);
  });

  // proof: bad-input
  it('names the decky and the row in the 409 of an open row', async () => {
    const first = await api.call('POST', DEPLOY, { token, ...net('[busy]\nservices=ssh\n') });
    assert.equal(first.status, 202, first.text);
    await refused(net('[busy]\nservices=ssh\n'), 409, new RegExp(`busy.*${first.json.lifecycle_ids[0]}`), 'DeckyBusy');
  });

  // proof: bad-input, gap-b1
  it('accepts one of three same requests at the same time (B1)', async () => {
    const body = { ini_content: `${GENERAL}[race]\nservices=ssh\n` };
    const answers = await Promise.all([1, 2, 3].map(() => api.call('POST', DEPLOY, { token, body })));
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [202, 409, 409]);
    const [row] = await api.database.sql`select count(*)::int as n from decky_lifecycle where decky_name = 'race'`;
    assert.equal(row?.n, 1);
  });
});
