/** DeckyConfig as it comes from others: strict, unknown keys refused, defaults filled in (docs/configuration.md#models). */
import { z } from 'zod';
import catalog from './catalog.json' with { type: 'json' };
import type { DeckyConfig } from './config.ts';

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

/** NUL and half a surrogate pair, as JSON escapes them: JSON can carry them, PostgreSQL's jsonb can't. A backslash before them is text. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\(?:u0000|ud[89a-f][0-9a-f]{2})/i;
/** Deeper values exhaust the stack of whoever writes them; a decky's configuration has five levels. */
const DEEPEST = 32;

/** Whether the value has no more than `levels` of nesting. */
export function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((one) => isWithin(one, levels - 1));
}

/** Whether PostgreSQL's jsonb takes the value as it is. */
export const isStorable = (value: unknown): boolean =>
  isWithin(value, DEEPEST) && !UNSTORABLE.test(JSON.stringify(value) ?? '');
