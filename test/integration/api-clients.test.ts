/** What DECNET's own web page asks of a master, beside what the recorded exchanges have. */
import assert from 'node:assert/strict';
import { ARCHETYPES, SELECTABLE_SERVICES, SERVICES } from '../../fleet/catalog.ts';
import { ADMIN_PASSWORD, type ApiHarness, createApiHarness } from '../support/master/api-harness.ts';

describe('API: the role of a user', () => {
  let api: ApiHarness;
  let admin: string;
  before(async () => {
    api = await createApiHarness();
    admin = await api.login('admin', ADMIN_PASSWORD);
  });
  after(() => api?.close());

  const uuidOf = async (name: string): Promise<string> => (await api.deps.users.byUsername(name))?.uuid ?? 'none';
  const setRole = (uuid: string, body: unknown, token = admin) =>
    api.call('PUT', `/api/v1/config/users/${uuid}/role`, { token, body });

  // proof: field-4-2
  it('is changed by an admin, and ends the tokens of that user', async () => {
    const before = await api.viewer('rosa');
    const answer = await setRole(await uuidOf('rosa'), { role: 'admin' });
    assert.deepEqual([answer.status, answer.json], [200, { message: 'User role updated' }]);
    assert.equal((await api.call('GET', '/api/v1/config', { token: before })).status, 401);
    const token = await api.login('rosa', 'viewer-password-2');
    assert.equal((await api.call('GET', '/api/v1/config', { token })).json.role, 'admin');
  });

  // proof: field-4-2
  it('is not changed by oneself', async () => {
    const answer = await setRole(await uuidOf('admin'), { role: 'viewer' });
    assert.deepEqual([answer.status, answer.json], [403, { detail: 'Cannot change your own role' }]);
    assert.equal((await api.deps.users.byUsername('admin'))?.role, 'admin');
  });

  // proof: field-4-2
  it('of nobody is 404, and one that does not exist a 4xx', async () => {
    const uuid = await uuidOf('admin');
    for (const nobody of ['00000000-0000-4000-8000-000000000000', 'x', '%00'])
      assert.deepEqual((await setRole(nobody, { role: 'admin' })).json, { detail: 'User not found' });
    assert.equal((await setRole(uuid, {})).status, 400);
    for (const role of ['root', '', 'ADMIN', 7]) assert.equal((await setRole(uuid, { role })).status, 422);
  });
});

describe('API: the catalogue of the wizard', () => {
  let api: ApiHarness;
  let token: string;
  before(async () => {
    api = await createApiHarness();
    token = await api.viewer();
  });
  after(() => api?.close());
  const get = (path: string) => api.call('GET', `/api/v1/topologies/${path}`, { token });

  // proof: field-4-4
  it('has every archetype of the catalogue, in its order', async () => {
    const { archetypes } = (await get('archetypes')).json;
    assert.deepEqual(
      archetypes.map(({ description: _, ...one }: { description: string }) => one),
      ARCHETYPES.map(({ slug, display_name, services, preferred_distros, nmap_os }) => ({
        slug,
        display_name,
        services,
        preferred_distros,
        nmap_os,
      })),
    );
    for (const { description } of archetypes) assert.match(description, /./);
  });

  // proof: field-4-4
  it('has every service of a decky, and names those that are none', async () => {
    const { services, fleet_singletons } = (await get('services')).json;
    assert.deepEqual(services, SELECTABLE_SERVICES);
    assert.deepEqual(fleet_singletons, ['sniffer']);
  });

  // proof: field-4-4
  it('has every setting of every service, with its type, default and choices', async () => {
    for (const service of SERVICES) {
      const { status, json } = await get(`services/${service.name}/schema`);
      assert.equal(status, 200, service.name);
      assert.deepEqual([json.name, json.ports], [service.name, service.default_ports]);
      const declared = service.service_cfg_keys.filter((key) => key.declared_in_schema !== false);
      assert.deepEqual(
        json.fields.map((field: Record<string, unknown>) => [
          field.key,
          field.type,
          field.default,
          field.secret,
          field.enum,
        ]),
        declared.map((key) => [key.key, key.type, key.default ?? null, key.secret, key.enum]),
      );
      for (const { label, help, placeholder } of json.fields) {
        assert.match(label, /^[A-Z]/);
        assert.equal(typeof help, 'string');
        assert.equal(placeholder, null);
      }
    }
  });

  it('does not know the settings of a service that does not exist', async () => {
    const answer = await get('services/nosuch/schema');
    assert.deepEqual([answer.status, answer.json], [404, { detail: 'Unknown service: "nosuch"' }]);
  });
});
