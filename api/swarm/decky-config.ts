/** DeckyConfig as it comes from others: strict, unknown keys refused, defaults filled in (config.md 1). */
import { z } from 'zod';
import catalog from '../../fleet/catalog.json' with { type: 'json' };
import type { DeckyConfig } from '../../fleet/config.ts';

export const StrictDeckyConfig = z.strictObject({
  name: z.string(),
  ip: z.string(),
  services: z.array(z.string()).min(1),
  distro: z.string(),
  base_image: z.string(),
  build_base: z.string().default(catalog.default_build_base),
  hostname: z.string(),
  archetype: z.string().nullable().default(null),
  service_config: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  nmap_os: z.string().default('linux'),
  mutate_interval: z.int().nullable().default(null),
  last_mutated: z.number().default(0),
  last_login_attempt: z.number().default(0),
  host_uuid: z.string().nullable().default(null),
}) satisfies z.ZodType<DeckyConfig>;

/** NUL and half a surrogate pair: JSON may carry them, PostgreSQL's jsonb does not. */
const UNSTORABLE = /\\u0000|\\ud[89a-f][0-9a-f]{2}/i;

export const isStorable = (value: unknown): boolean => !UNSTORABLE.test(JSON.stringify(value) ?? '');
