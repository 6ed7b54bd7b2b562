/** Holds catalog.json to the types that catalog.ts claims for it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  ARCHETYPES,
  archetypeBySlug,
  DISTROS,
  distroBySlug,
  fingerprint,
  NMAP_OS_FAMILIES,
  SELECTABLE_SERVICES,
  SERVICES,
  serviceByName,
} from '../../fleet/catalog.ts';

const KEY_TYPES = ['string', 'textarea', 'password', 'int', 'bool', 'enum', 'multi_enum'];
const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

describe('catalogue', () => {
  it('has the shape of its types', () => {
    for (const service of SERVICES) {
      assert.ok(isText(service.name) && isText(service.build_context) && isText(service.restart), service.name);
      assert.ok(service.default_ports.every((port) => Number.isInteger(port) && port > 0 && port < 65_536));
      assert.ok(Object.values(service.env_always).every((value) => typeof value === 'string'));
      assert.ok([...service.cap_add, ...service.volumes].every(isText));
      for (const key of service.service_cfg_keys) {
        assert.ok(KEY_TYPES.includes(key.type), `${service.name}.${key.key}: ${key.type}`);
        assert.equal(typeof key.secret, 'boolean');
        assert.equal(key.applied_to_compose, key.env !== undefined, `${service.name}.${key.key}`);
        assert.equal(key.type.endsWith('enum'), key.enum !== undefined, `${service.name}.${key.key}`);
      }
    }
    for (const distro of DISTROS)
      assert.ok(['generic', 'rhel', 'minimal', 'rolling'].includes(distro.hostname_style), distro.slug);
  });

  it('refers only to what it has', () => {
    for (const archetype of ARCHETYPES) {
      assert.ok(archetype.preferred_distros.length > 0 && archetype.preferred_distros.every(distroBySlug));
      assert.ok(archetype.services.every((service) => SELECTABLE_SERVICES.includes(service)));
      assert.ok(NMAP_OS_FAMILIES.includes(archetype.nmap_os));
    }
  });

  it('offers the services that DECNET draws from, and no singleton', () => {
    const { pool } = (
      JSON.parse(readFileSync(new URL('../../fleet/catalog.json', import.meta.url), 'utf8')) as {
        service_random_pick: { pool: string[] };
      }
    ).service_random_pick;
    assert.deepEqual(SELECTABLE_SERVICES, pool);
    assert.ok(!SELECTABLE_SERVICES.includes('sniffer'));
  });

  it('knows nothing of names that only objects have', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      assert.equal(serviceByName(name), undefined);
      assert.equal(archetypeBySlug(name), undefined);
    }
  });

  it('gives an unknown family the sysctls of linux, ten for each', () => {
    assert.equal(fingerprint('amiga'), fingerprint('linux'));
    for (const family of NMAP_OS_FAMILIES) assert.equal(Object.keys(fingerprint(family)).length, 10, family);
  });
});
