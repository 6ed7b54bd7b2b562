/** What a decky of a test is made of where that does not matter. */
import catalog from '../../../fleet/catalog.json' with { type: 'json' };
import type { DeckyConfig } from '../../../fleet/config.ts';

/** Debian's, of the catalogue: a built-in image stands in for it. */
const IMAGE = catalog.distros[0]?.image ?? '';
/** All but its name and address. */
export const plainDecky: Omit<DeckyConfig, 'name' | 'hostname' | 'ip'> = {
  services: ['http'],
  distro: 'debian',
  base_image: IMAGE,
  build_base: IMAGE,
  archetype: null,
  service_config: {},
  nmap_os: 'linux',
  mutate_interval: null,
  last_mutated: 0,
  last_login_attempt: 0,
  host_uuid: null,
};
