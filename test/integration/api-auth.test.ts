/** Who gets in: tokens, roles, passwords, and the limit of wrong ones. */
import assert from 'node:assert/strict';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { createPasswords } from '../../api/auth.ts';
import { loginKeyOf } from '../../lib/login-key.ts';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness } from '../support/master/api-harness.ts';

const GUARDED: readonly [string, string, 'admin' | 'viewer'][] = [
  ['GET', '/api/v1/config', 'viewer'],
  ['PUT', '/api/v1/config/deployment-limit', 'admin'],
  ['PUT', '/api/v1/config/global-mutation-interval', 'admin'],
  ['POST', '/api/v1/config/users', 'admin'],
  ['DELETE', '/api/v1/config/users/x', 'admin'],
  ['PUT', '/api/v1/config/users/x/reset-password', 'admin'],
  ['POST', '/api/v1/deckies/deploy', 'admin'],
  ['GET', '/api/v1/deckies', 'viewer'],
  ['GET', '/api/v1/deckies/lifecycle?ids=x', 'viewer'],
  ['DELETE', '/api/v1/deckies/x', 'admin'],
  ['GET', '/api/v1/deployments', 'viewer'],
  ['GET', '/api/v1/deployments/x', 'viewer'],
  ['GET', '/api/v1/fleet', 'viewer'],
  ['GET', '/api/v1/system/deployment-mode', 'viewer'],
  ['POST', '/api/v1/auth/sse-ticket', 'viewer'],
];

type Claims = Record<string, unknown>;

describe('API: auth', () => {
  let api: ApiHarness;
  beforeEach(async () => {
    api = await createApiHarness();
  });
  afterEach(() => api.close());

  const login = (username: string, password: string) =>
    api.call('POST', '/api/v1/auth/login', { body: { username, password } });

  async function claimsOfAdmin(): Promise<Claims> {
    const token = await api.login('admin', ADMIN_PASSWORD);
    assert.deepEqual(decodeProtectedHeader(token), { alg: 'HS256', typ: 'JWT' });
    return decodeJwt(token);
  }

  const sign = (claims: Claims, secret = api.secret, alg = 'HS256'): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT' }).sign(new TextEncoder().encode(secret));

  it('issues the claims of DECNET', async () => {
    const claims = await claimsOfAdmin();
    assert.deepEqual(Object.keys(claims).sort(), ['aud', 'exp', 'iat', 'iss', 'jti', 'typ', 'uuid']);
    assert.equal(claims.iss, 'decnet');
    assert.equal(claims.aud, 'decnet-dashboard');
    assert.equal(claims.typ, 'access');
    assert.match(String(claims.jti), /^[0-9a-f]{32}$/);
    assert.ok(Number.isInteger(claims.iat) && Number.isInteger(claims.exp));
  });

  // proof: bad-input
  it('refuses every guarded route without a token, and to a viewer what is an admin’s', async () => {
    const viewer = await api.viewer();
    for (const [method, path, role] of GUARDED) {
      const none = await api.call(method, path);
      assert.equal(none.status, 401, `${method} ${path}`);
      assert.equal(none.headers.get('www-authenticate'), 'Bearer');
      assert.deepEqual(none.json, { detail: 'Could not validate credentials' });
      const asViewer = await api.call(method, path, { token: viewer });
      if (role === 'admin') assert.equal(asViewer.status, 403, `${method} ${path}`);
      else assert.notEqual(asViewer.status, 403, `${method} ${path}`);
    }
  });

  // proof: bad-input
  it('refuses tokens that are forged, expired, incomplete, of another kind, or of nobody', async () => {
    const claims = await claimsOfAdmin();
    const status = async (token: string) => (await api.call('GET', '/api/v1/deckies', { token })).status;
    assert.equal(await status(await sign(claims)), 200, 'the claims themselves are good');
    const past = Math.floor(Date.now() / 1000) - 1;
    const without = (key: string): Claims =>
      Object.fromEntries(Object.entries(claims).filter(([name]) => name !== key));
    const bad: Record<string, string> = {
      forged: await sign(claims, 'another-secret-of-32-characters!'),
      'of another algorithm': await sign(claims, api.secret, 'HS512'),
      unsigned: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`,
      expired: await sign({ ...claims, exp: past }),
      'of another issuer': await sign({ ...claims, iss: 'somebody' }),
      'for another audience': await sign({ ...claims, aud: 'somebody' }),
      'of another kind': await sign({ ...claims, typ: 'refresh' }),
      'of nobody': await sign({ ...claims, uuid: '00000000-0000-4000-8000-000000000000' }),
      'with a number for a uuid': await sign({ ...claims, uuid: 7 }),
      garbage: 'garbage',
    };
    for (const key of ['jti', 'exp', 'iat', 'uuid', 'typ', 'iss', 'aud'])
      bad[`without ${key}`] = await sign(without(key));
    for (const [what, token] of Object.entries(bad)) assert.equal(await status(token), 401, what);
  });

  it('ends all earlier tokens with a change of the password, also those of the same second', async () => {
    const tokens = await Promise.all([1, 2, 3].map(() => api.login('admin', ADMIN_PASSWORD)));
    const body = { old_password: ADMIN_PASSWORD, new_password: 'another-long-password' };
    const changed = await api.call('POST', '/api/v1/auth/change-password', { token: tokens[0] ?? '', body });
    assert.equal(changed.status, 200, changed.text);
    const fresh = await api.login('admin', 'another-long-password');
    for (const token of tokens) assert.equal((await api.call('GET', '/api/v1/deckies', { token })).status, 401);
    assert.equal((await api.call('GET', '/api/v1/deckies', { token: fresh })).status, 200);
  });

  describe('while passwords wait for their turn', () => {
    const OTHER = 'another-long-password';
    const { now } = Date;
    afterEach(() => {
      Date.now = now;
    });
    /** Of all these the users are read now, their passwords one after the other. */
    const queue = () => Array.from({ length: 12 }, () => login('admin', ADMIN_PASSWORD));
    const reset = async (hash: string) => {
      const user = await api.deps.users.byUsername('admin');
      assert.equal(await api.deps.users.resetPassword(user?.uuid ?? '', hash), true);
    };

    it('gives no token that counts to an old password', async () => {
      const hash = await createPasswords().hash(OTHER);
      const waiting = queue();
      await waiting[0];
      let late = false;
      const answers = waiting.map(async (one) => ({ ...(await one), late }));
      await reset(hash);
      late = true;
      // Tokens end by the second: those that are made now are made in a later one.
      Date.now = () => now() + 2_000;
      const issued = (await Promise.all(answers)).filter((answer) => answer.late && answer.status === 200);
      assert.ok(issued.length > 0, 'all had their turn before the reset');
      for (const { json } of issued)
        assert.equal((await api.call('GET', '/api/v1/deckies', { token: json.access_token })).status, 401);
    });

    it('changes no password that was reset meanwhile', async () => {
      const hash = await createPasswords().hash(OTHER);
      const token = await api.login('admin', ADMIN_PASSWORD);
      const waiting = queue();
      const body = { old_password: ADMIN_PASSWORD, new_password: 'a-thief-s-password' };
      const change = api.call('POST', '/api/v1/auth/change-password', { token, body });
      await waiting[0];
      await reset(hash);
      assert.equal((await change).status, 401);
      assert.equal((await login('admin', 'a-thief-s-password')).status, 401);
      assert.equal((await login('admin', OTHER)).json.must_change_password, true);
      await Promise.all(waiting);
    });
  });

  it('ends one token with a logout, and the tokens of a user who is deleted or reset', async () => {
    const [first, second] = [await api.login('admin', ADMIN_PASSWORD), await api.login('admin', ADMIN_PASSWORD)];
    await api.call('POST', '/api/v1/auth/logout', { token: first });
    assert.equal((await api.call('GET', '/api/v1/deckies', { token: first })).status, 401);
    assert.equal((await api.call('GET', '/api/v1/deckies', { token: second })).status, 200);

    const viewer = await api.viewer();
    const { users } = (await api.call('GET', '/api/v1/config', { token: second })).json;
    const path = `/api/v1/config/users/${users.find((user: { username: string }) => user.username === 'vera').uuid}`;
    const body = { new_password: 'another-password-1' };
    assert.equal((await api.call('PUT', `${path}/reset-password`, { token: second, body })).status, 200);
    assert.equal((await api.call('GET', '/api/v1/deckies', { token: viewer })).status, 401);
    const reset = await login('vera', 'another-password-1');
    assert.equal(reset.json.must_change_password, true);
    assert.equal((await api.call('DELETE', path, { token: second })).status, 200);
    assert.equal((await api.call('GET', '/api/v1/deckies', { token: reset.json.access_token })).status, 401);
  });

  it('lets who must change the password do that and log out, nothing else', async () => {
    const admin = await api.login('admin', ADMIN_PASSWORD);
    const user = { username: 'nora', password: 'nora-password-1', role: 'admin' };
    assert.equal((await api.call('POST', '/api/v1/config/users', { token: admin, body: user })).status, 200);
    const token = await api.login('nora', 'nora-password-1');
    for (const [method, path] of GUARDED) {
      const answer = await api.call(method, path, { token });
      assert.equal(answer.status, 403, path);
      assert.equal(answer.json.detail, 'Password change required before accessing this resource');
    }
    assert.equal((await api.call('POST', '/api/v1/auth/logout', { token })).status, 200);
  });

  it('counts exactly ten wrong logins, also at the same time, and none of the right ones', async () => {
    for (let turn = 0; turn < 12; turn += 1) assert.equal((await login('admin', ADMIN_PASSWORD)).status, 200);
    const answers = await Promise.all(Array.from({ length: 16 }, (_, turn) => login('admin', `wrong-${turn}`)));
    const statuses = answers.map((answer) => answer.status);
    assert.equal(statuses.filter((status) => status === 401).length, 10);
    assert.equal(statuses.filter((status) => status === 429).length, 6);
    const late = await login('admin', ADMIN_PASSWORD);
    assert.equal(late.status, 429);
    assert.equal(late.headers.get('deckhand-error-code'), 'TooManyAttempts');
    assert.ok(Number(late.headers.get('retry-after')) > 0);
    assert.equal(typeof late.json.error, 'string');
    assert.equal(late.json.detail, late.json.error);
  });

  // proof: field-4-6
  it('lets the holder of the login key in, however many passwords others get wrong', async () => {
    const withKey = (key: string, password = ADMIN_PASSWORD) =>
      api.call('POST', '/api/v1/auth/login', {
        body: { username: 'admin', password },
        headers: { 'deckhand-login-key': key },
      });
    const key = loginKeyOf(api.secret);
    for (let turn = 0; turn < 10; turn += 1) await login('admin', `wrong-${turn}`);
    assert.equal((await login('admin', ADMIN_PASSWORD)).status, 429);
    for (const guess of ['', 'guessed', `${key}x`, key.toUpperCase()]) assert.equal((await withKey(guess)).status, 429);
    assert.equal((await withKey(key)).status, 200);
    for (let turn = 0; turn < 10; turn += 1) assert.equal((await withKey(key, `wrong-${turn}`)).status, 401);
    assert.equal((await withKey(key)).status, 429);
  });

  it('keeps passwords as argon2id, and a ticket for one use', async () => {
    const admin = await api.deps.users.byUsername('admin');
    assert.match(admin?.password_hash ?? '', /^\$argon2id\$/);
    const token = await api.login('admin', ADMIN_PASSWORD);
    const { ticket } = (await api.call('POST', '/api/v1/auth/sse-ticket', { token })).json;
    const { uuid, jti, iat, exp } = decodeJwt(token);
    assert.equal(uuid, admin?.uuid);
    assert.deepEqual(await api.deps.tokens.redeemTicket(ticket), { uuid, jti, iat, exp });
    assert.equal(await api.deps.tokens.redeemTicket(ticket), null);
  });

  it('makes the first admin once', async () => {
    const again = { username: 'second', password_hash: 'x', role: 'admin', must_change_password: false } as const;
    assert.equal(await api.deps.users.createFirst(again), false);
    assert.equal((await api.deps.users.list()).length, 1);
  });

  it('lets browsers of the named origins in, and no others', async () => {
    await api.close();
    api = await createApiHarness({ deps: () => ({ corsOrigins: ['https://console.example'] }) });
    const preflight = (origin: string) =>
      api.call('OPTIONS', '/api/v1/deckies', { headers: { origin, 'access-control-request-method': 'GET' } });
    const allowed = (await preflight('https://console.example')).headers;
    assert.equal(allowed.get('access-control-allow-origin'), 'https://console.example');
    assert.equal(allowed.get('access-control-allow-credentials'), null);
    assert.equal((await preflight('https://evil.example')).headers.get('access-control-allow-origin'), null);
  });
});
