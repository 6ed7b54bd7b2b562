/** Shapes of the routes about hosts. */
import { z } from '@hono/zod-openapi';

const time = z.string().openapi({ format: 'date-time', example: '2026-11-23T19:00:37.601000Z' });
const fingerprint = z.string().openapi({ description: 'SHA-256 of the certificate, lowercase hex' });

export const HostUuid = z
  .string()
  .min(1)
  .max(64)
  .refine((text) => !text.includes('\0'))
  .openapi({ example: '2c216c01-9ea6-576c-8474-bcf667779d4d' });

export const HostView = z
  .object({
    uuid: z.string(),
    name: z.string(),
    address: z.string(),
    agent_port: z.number(),
    status: z.enum(['enrolled', 'active', 'unreachable']),
    last_heartbeat: time.nullable(),
    client_cert_fingerprint: fingerprint,
    updater_cert_fingerprint: fingerprint.nullable(),
    enrolled_at: time,
    notes: z.string().nullable(),
    use_ipvlan: z.boolean(),
    draining: z.boolean(),
    fenced: z.boolean().openapi({ description: 'true: an agent of ours, whose reports carry fences' }),
    agent_version: z.string().nullable(),
    cert_not_after: time.nullable(),
    renew_requested: z.boolean(),
  })
  .openapi('Host');

export const ShardView = z
  .object({
    decky_name: z.string(),
    decky_ip: z.string().nullable(),
    host_uuid: z.string(),
    host_name: z.string(),
    host_address: z.string(),
    host_status: z.string(),
    services: z.array(z.string()),
    state: z.string(),
    last_error: z.string().nullable(),
    compose_hash: z.string().nullable(),
    updated_at: time,
    hostname: z.string().nullable(),
    distro: z.string().nullable(),
    archetype: z.string().nullable(),
    service_config: z.record(z.string(), z.record(z.string(), z.unknown())),
    mutate_interval: z.number().nullable(),
    last_mutated: z.number(),
    last_seen: time.nullable(),
  })
  .openapi('Shard');

export const TeardownAccepted = z.object({
  host_uuid: z.string(),
  host_name: z.string(),
  decky_id: z.string().nullable(),
  accepted: z.literal(true),
  detail: z.string(),
  lifecycle_ids: z.array(z.string()),
});
