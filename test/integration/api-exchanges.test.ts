/** Plays what was recorded of DECNET 1.0 against our API, to the letter; where ours differs on purpose the step says how. */
import assert from 'node:assert/strict';
import { SignJWT } from 'jose';
import exchanges from '../fixtures/exchanges/master-api.json' with { type: 'json' };
import { ADMIN_PASSWORD, type Answer, type ApiHarness, createApiHarness } from '../support/master/api-harness.ts';

interface Step {
  readonly name: string;
  readonly auth: string | null;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly answer?: unknown;
  readonly answer_headers?: Record<string, string>;
  readonly ours?: string;
}

const PLACEHOLDERS: Readonly<Record<string, RegExp>> = {
  '<jwt>': /^[\w-]+\.[\w-]+\.[\w-]+$/,
  '<uuid>': /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  '<time>': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
  '<ticket>': /^[\w-]{20,}$/,
  '*': /./,
};
/** Keys that our answers have beside the recorded ones (docs/differences.md#requests-and-answers). */
const ADDITIONS = new Set(['removed_lifecycle_ids', 'warnings']);

describe('API: the recorded exchanges of the master', () => {
  let api: ApiHarness;
  const tokens = new Map<string, string>();
  const names = new Map<string, string>();

  before(async () => {
    api = await createApiHarness({ mustChange: true });
    const [admin] = await api.deps.users.list();
    assert.ok(admin);
    names.set('<user:admin>', admin.uuid);
    const claims = { uuid: admin.uuid, typ: 'access' };
    const sign = (secret: string, expires: number): Promise<string> =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setJti('0'.repeat(32))
        .setIssuer('decnet')
        .setAudience('decnet-dashboard')
        .setIssuedAt(expires - 600)
        .setExpirationTime(expires)
        .sign(new TextEncoder().encode(secret));
    const now = Math.floor(Date.now() / 1000);
    tokens.set('garbage', 'garbage');
    tokens.set('forged', await sign('another-secret-of-32-characters!', now + 600));
    tokens.set('expired', await sign(api.secret, now - 10));
  });
  after(() => api.close());

  const resolve = (text: string): string => text.replace(/<(row|user):[\w-]+>/g, (name) => names.get(name) ?? name);

  function matches(expected: unknown, actual: unknown, where: string): void {
    if (typeof expected === 'string') {
      const pattern = PLACEHOLDERS[expected];
      if (pattern) assert.match(String(actual), pattern, where);
      else if (/^<row:/.test(expected) && !names.has(expected)) names.set(expected, String(actual));
      else assert.equal(actual, resolve(expected), where);
    } else if (Array.isArray(expected)) {
      assert.ok(Array.isArray(actual), where);
      assert.equal(actual.length, expected.length, `${where}: length`);
      for (const [index, item] of expected.entries()) matches(item, actual[index], `${where}[${index}]`);
    } else if (typeof expected === 'object' && expected !== null) {
      assert.ok(typeof actual === 'object' && actual !== null, where);
      const keys = Object.keys(actual).filter((key) => !ADDITIONS.has(key));
      assert.deepEqual(keys.sort(), Object.keys(expected).sort(), where);
      for (const [key, value] of Object.entries(expected)) matches(value, Reflect.get(actual, key), `${where}.${key}`);
    } else assert.equal(actual, expected, where);
  }

  /** Where ours differs on purpose, or the recorded wording is Python's own. */
  function matchesOurs(step: Step, answer: Answer): boolean {
    const detail = String(answer.json?.detail);
    if (step.name === 'deploy: bad name') {
      assert.equal(answer.status, 409);
      assert.match(detail, /we b!/);
    } else if (step.name === 'deploy: only general') {
      assert.equal(answer.status, 409);
      assert.equal(detail, 'Invalid INI config structure: No decky sections found.');
    } else if (step.ours !== undefined) {
      assert.equal(answer.status, 409);
      if (step.name.includes('interface')) assert.match(detail, /^Network configuration conflict: /);
    } else return false;
    assert.deepEqual(Object.keys(answer.json), ['detail']);
    return true;
  }

  /** Who the steps after this one are. */
  async function remember(step: Step, answer: Answer): Promise<void> {
    if (step.name === 'login' || step.name === 'login with the new password')
      tokens.set('admin', answer.json.access_token);
    if (step.name === 'create viewer') {
      names.set('<user:vera>', answer.json.uuid);
      tokens.set('newbie', await api.login('vera', 'viewer-password-1'));
    }
    if (step.name === 'new user must change password first') {
      const body = { old_password: 'viewer-password-1', new_password: 'viewer-password-2' };
      await api.call('POST', '/api/v1/auth/change-password', { token: tokens.get('newbie') ?? null, body });
      tokens.set('viewer', await api.login('vera', 'viewer-password-2'));
    }
  }

  assert.equal(ADMIN_PASSWORD, 'correct-horse-battery', 'the recordings log in with this password');

  for (const step of exchanges as readonly Step[]) {
    it(step.name, async () => {
      if (step.name !== 'lifecycle') await api.settle();
      const body =
        step.body === '(long)' ? { ini_content: `[a]\nservices=ssh\n#${'x'.repeat(600 * 1024)}` } : step.body;
      const answer = await api.call(step.method, resolve(step.path), {
        token: step.auth === null ? null : (tokens.get(step.auth) ?? assert.fail(`no token for ${step.auth}`)),
        ...(body === undefined ? {} : { body }),
        ...(step.raw === undefined ? {} : { raw: step.raw }),
        ...(step.headers === undefined ? {} : { headers: step.headers }),
      });
      assert.match(answer.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
      if (!matchesOurs(step, answer)) {
        assert.equal(answer.status, step.status, answer.text);
        const text = (step.answer as { text?: string } | undefined)?.text;
        if (text !== undefined) assert.equal(answer.text, text);
        else matches(step.answer, answer.json, step.name);
      }
      for (const [name, value] of Object.entries(step.answer_headers ?? {}))
        assert.equal(answer.headers.get(name), value, name);
      await remember(step, answer);
    });
  }
});
