import assert from 'node:assert/strict';
import { serviceByName } from '../../fleet/catalog.ts';
import { serviceSettings } from '../../fleet/service-config.ts';
import { assertRefused } from '../support/fixtures/planning.ts';

function settings(name: string, values: Readonly<Record<string, unknown>>) {
  const service = serviceByName(name);
  assert.ok(service);
  return serviceSettings(service, values, 'a');
}
const environment = (name: string, values: Readonly<Record<string, unknown>>) => settings(name, values).environment;
const b64 = (text: string): string => `b64:${Buffer.from(text).toString('base64')}`;

describe('service configuration', () => {
  // proof: gap-c19
  it('gap C19: nla = false is false', () => {
    for (const word of ['false', 'False', '0', 'no', 'off']) assert.deepEqual(environment('rdp', { nla: word }), {});
    for (const word of ['true', 'TRUE', '1', 'yes', 'on', true])
      assert.deepEqual(environment('rdp', { nla: word }), { RDP_ENABLE_NLA: 'true' });
    assert.deepEqual(environment('dns', { real_recursive: 'false' }), { DNS_REAL_RECURSIVE: 'false' });
  });

  // proof: gap-c19
  it('gap C19: b64: of a textarea is decoded as UTF-8, elsewhere it is a value like any other', () => {
    assert.deepEqual(environment('http', { custom_body: b64('grüße\n$HOME') }), { CUSTOM_BODY: 'grüße\n$HOME' });
    assert.deepEqual(environment('ssh', { password: 'b64:YQ==' }), { SSH_ROOT_PASSWORD: 'b64:YQ==' });
    for (const value of ['b64:%%%', 'b64:/w==', b64('a\0b')])
      assertRefused(
        () => environment('http', { custom_body: value }),
        'InvalidDecky',
        /^\[a\.http\] custom_body= begins with "b64:"/,
      );
  });

  it('renders whole numbers, and refuses others', () => {
    assert.deepEqual(environment('http', { response_code: '0404' }), { RESPONSE_CODE: '404' });
    assert.deepEqual(environment('http', { response_code: 503 }), { RESPONSE_CODE: '503' });
    for (const value of ['4.5', 'x', '1e3', '99999999999999999999'])
      assertRefused(() => environment('http', { response_code: value }), 'InvalidDecky', /whole number/);
  });

  it('takes members of an enum in any case, and refuses others', () => {
    assert.deepEqual(environment('http', { fake_app: 'WordPress' }), { FAKE_APP: 'wordpress' });
    assertRefused(() => environment('http', { fake_app: 'joomla' }), 'InvalidDecky', /one of none, wordpress/);
  });

  it('renders a list in JSON, from a comma list, a JSON list or a list', () => {
    const expected = { HTTP_VERSIONS: '["http/1.1", "http/2"]' };
    for (const value of ['http/1.1, http/2', '["http/1.1", "http/2"]', ['http/1.1', 'http/2'], 'http/1.1\nhttp/2'])
      assert.deepEqual(environment('http', { http_versions: value }), expected);
    assertRefused(() => environment('http', { http_versions: 'http/3' }), 'InvalidDecky');
    assertRefused(() => environment('http', { http_versions: '[1' }), 'InvalidDecky', /no JSON list/);
  });

  it('leaves empty values out, but lets what is always there be empty', () => {
    assert.deepEqual(environment('http', { server_header: '', response_code: '', fake_app: '' }), {});
    assert.deepEqual(environment('ssh', { password: '', hostname: '' }), { SSH_ROOT_PASSWORD: '' });
  });

  it('JSON-encodes what is no text, and ignores keys that the catalogue does not know or apply', () => {
    assert.deepEqual(environment('http', { extra_headers: { A: 'b' }, nonsense: 'x' }), { EXTRA_HEADERS: '{"A":"b"}' });
    assert.deepEqual(environment('smtp_relay', { upstream_host: 'h' }), {});
    assert.deepEqual(environment('http', { server_header: null }), {});
  });

  it('mounts host paths read-only, and only absolute ones', () => {
    assert.deepEqual(settings('http', { files: '/srv/www' }), {
      environment: { FILES_DIR: '/opt/html_files' },
      volumes: ['/srv/www:/opt/html_files:ro'],
    });
    for (const value of ['www', '/a:/etc'])
      assertRefused(() => settings('http', { files: value }), 'InvalidDecky', /absolute path/);
  });

  // proof: promise-10
  it('never repeats a value in what it refuses', () => {
    assertRefused(() => environment('https', { tls_key: 'b64:hunter2!' }), 'InvalidDecky', /^(?!.*hunter2)/);
  });
});
