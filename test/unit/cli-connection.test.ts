import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveConnection } from '../../cli/connection.ts';

describe('cli connection', () => {
  let home: string;
  const writeStack = (text: string) => writeFileSync(join(home, 'stack.json'), text, { mode: 0o600 });
  const admin = { username: 'admin', password: 'generated-secret' };
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'deckhand-cli-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  it('takes the embedded stack’s address and administrator', () => {
    writeStack(
      JSON.stringify({ api_url: 'http://127.0.0.1:8000', swarm_url: null, ca_dir: null, admin, processes: [] }),
    );
    const expected = { apiUrl: 'http://127.0.0.1:8000', credentials: admin };
    assert.deepEqual(resolveConnection({ home }, {}), expected);
    assert.deepEqual(resolveConnection({}, { DECKHAND_HOME: home }), expected);
  });

  it('prefers the flag to the environment to the stack, and never sends the stack’s password elsewhere', () => {
    writeStack(JSON.stringify({ api_url: 'http://127.0.0.1:8000', admin }));
    const environment = { DECKHAND_API_URL: 'http://b:1/', DECKHAND_HOME: home };
    assert.equal(resolveConnection({ api: 'http://a:1' }, environment).apiUrl, 'http://a:1');
    const { apiUrl, credentials } = resolveConnection({}, environment);
    assert.equal(apiUrl, 'http://b:1');
    assert.deepEqual(credentials, { missing: 'No credentials for http://b:1/.' });
  });

  // proof: field-4-6
  it('has the stack’s login key for the stack’s own address, whoever logs in, and for no other', () => {
    writeStack(JSON.stringify({ api_url: 'http://127.0.0.1:8000', admin, login_key: 'k' }));
    const key = (environment: NodeJS.ProcessEnv) => resolveConnection({ home }, environment).loginKey;
    const user = { DECKHAND_USER: 'u', DECKHAND_PASSWORD: 'p' };
    assert.equal(key({}), 'k');
    assert.equal(key(user), 'k');
    assert.equal(key({ ...user, DECKHAND_API_URL: 'http://127.0.0.1:8000/' }), 'k');
    assert.equal(key({ ...user, DECKHAND_API_URL: 'http://127.0.0.1:8001' }), undefined);
    writeStack('{"api_url": "http://127.0');
    assert.equal(key({ ...user, DECKHAND_API_URL: 'http://127.0.0.1:8001' }), undefined);
  });

  it('prefers a token to a user', () => {
    const environment = {
      DECKHAND_API_URL: 'http://b:1',
      DECKHAND_TOKEN: 't',
      DECKHAND_USER: 'u',
      DECKHAND_PASSWORD: 'p',
    };
    assert.deepEqual(resolveConnection({}, environment).credentials, { token: 't' });
  });

  it('says where it looked when there is no stack, a broken one, or no URL', () => {
    assert.throws(() => resolveConnection({ home }, {}), new RegExp(`No stack is known in ${home}`));
    writeStack('{"api_url": "http://127.0');
    assert.throws(() => resolveConnection({ home }, {}), /stack\.json is not a whole stack file/);
    assert.throws(() => resolveConnection({ api: 'localhost:8000' }, {}), /is no URL of an API/);
  });
});
