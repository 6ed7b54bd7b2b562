/** The bodies that the agent takes: DECNET's models (docs/configuration.md#models: root lax, deckies strict) and what ours adds. */
import { z } from 'zod';
import { DURATIONS, type DurationName } from '../fleet/durations.ts';
import { assertDeckyName } from '../fleet/names.ts';
import { NO_INTEGER } from './validation.ts';

const integer = z.int(NO_INTEGER);

/** A name that no decky can have never becomes a file, a container or a key. */
const deckyName = z.string().refine((name) => {
  try {
    assertDeckyName(name);
    return true;
  } catch {
    return false;
  }
}, 'no decky can have this name');

const decky = z.strictObject({
  name: deckyName,
  ip: z.string(),
  services: z.array(z.string()).min(1),
  distro: z.string(),
  base_image: z.string(),
  build_base: z
    .string()
    .default('debian:bookworm-slim@sha256:f9c6a2fd2ddbc23e336b6257a5245e31f996953ef06cd13a59fa0a1df2d5c252'),
  hostname: z.string(),
  archetype: z.string().nullable().default(null),
  service_config: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  nmap_os: z.string().default('linux'),
  mutate_interval: integer.nullable().default(null),
  last_mutated: z.number().default(0),
  last_login_attempt: z.number().default(0),
  host_uuid: z.string().nullable().default(null),
});

const config = z.object({
  mode: z.enum(['unihost', 'swarm']),
  interface: z.string(),
  subnet: z.string(),
  gateway: z.string(),
  deckies: z
    .array(decky)
    .min(1)
    .refine((deckies) => new Set(deckies.map(({ name }) => name)).size === deckies.length, 'a name stands there twice'),
  log_file: z.string().nullable().default(null),
  ipvlan: z.boolean().default(false),
  mutate_interval: integer.nullable().default(30),
});

const customService = z.object({
  name: z.string(),
  image: z.string(),
  exec_cmd: z.string(),
  ports: z.array(integer),
});

const fence = { operation_id: z.string().min(1).max(200), attempt: integer.min(1), ticket: integer.min(0).optional() };
/** As the master takes them, so that no order which it accepts is refused here. */
const milliseconds = (name: DurationName) => z.number().min(DURATIONS[name].least).max(DURATIONS[name].most);
const timing = {
  min_healthy_time_ms: milliseconds('min_healthy_time'),
  healthy_deadline_ms: milliseconds('healthy_deadline'),
  progress_deadline_ms: milliseconds('progress_deadline'),
};
const customServices = z.record(z.string(), z.array(customService));

export const deployBody = z.object({
  config,
  dry_run: z.boolean().default(false),
  no_cache: z.boolean().default(false),
  deckhand: z
    .object({
      ...fence,
      ...timing,
      deploy: z.array(z.string()),
      remove: z.array(z.string()),
      stopped: z.array(z.string()).default([]),
      custom_services: customServices.default({}),
    })
    .optional(),
});

export const mutateBody = z.object({
  decky_id: z.string(),
  services: z.array(z.string()),
  dry_run: z.boolean().default(false),
  deckhand: z.object({ ...fence, ...timing, custom_services: customServices.default({}) }).optional(),
});

export const teardownBody = z.object({
  decky_id: z.string().nullable().default(null),
  deckhand: z.object(fence).optional(),
});

export type DeployBody = z.infer<typeof deployBody>;
export type MutateBody = z.infer<typeof mutateBody>;
export type TeardownBody = z.infer<typeof teardownBody>;
