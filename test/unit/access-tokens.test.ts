import assert from 'node:assert/strict';
import { createAccessTokens } from '../../api/auth.ts';

describe('access tokens', () => {
  const user = {
    uuid: 'u',
    username: 'vera',
    role: 'viewer',
    must_change_password: false,
    password_hash: '',
    tokens_valid_from: 0,
  } as const;
  const { now } = Date;
  afterEach(() => {
    Date.now = now;
  });

  it('whose signature was looked at before end all the same', async () => {
    const tokens = createAccessTokens({ secret: 's'.repeat(32), lifetimeMinutes: 1 });
    const token = await tokens.issue(user, Date.now());
    const first = await tokens.verify(token);
    assert.equal(first?.uuid, 'u');
    assert.deepEqual(await tokens.verify(token), first);
    Date.now = () => now() + 61_000;
    assert.equal(await tokens.verify(token), null);
  });

  it('count from when their user was read, not from when they were made', async () => {
    const tokens = createAccessTokens({ secret: 's'.repeat(32), lifetimeMinutes: 1 });
    const claims = await tokens.verify(await tokens.issue(user, now() - 5_000));
    assert.ok((claims?.iat ?? 0) * 1000 <= now() - 5_000);
    const later = await tokens.verify(await tokens.issue({ ...user, tokens_valid_from: 9_999_999_999 }, now()));
    assert.equal(later?.iat, 9_999_999_999);
  });

  it('of another secret, or changed by a letter, are none, also beside one that is right', async () => {
    const tokens = createAccessTokens({ secret: 's'.repeat(32), lifetimeMinutes: 1 });
    const token = await tokens.issue(user, Date.now());
    await tokens.verify(token);
    const foreign = await createAccessTokens({ secret: 'x'.repeat(32), lifetimeMinutes: 1 }).issue(user, Date.now());
    const [head, body = '', signature] = token.split('.');
    const changed = [head, `${body.slice(0, -1)}${body.endsWith('A') ? 'B' : 'A'}`, signature].join('.');
    assert.deepEqual([await tokens.verify(foreign), await tokens.verify(changed)], [null, null]);
  });
});
