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
    owes: z
      .int()
      .openapi({ description: 'deckies that it still has to take down: it was lost, or they moved elsewhere' }),
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

const HOST_UUID = '2c216c01-9ea6-576c-8474-bcf667779d4d';
const SEEN = '2026-11-23T19:00:37.601000Z';

export const HOST_EXAMPLE: z.infer<typeof HostView> = {
  uuid: HOST_UUID,
  name: 'rack4-1',
  address: '192.0.2.11',
  agent_port: 8765,
  status: 'active',
  last_heartbeat: SEEN,
  client_cert_fingerprint: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  updater_cert_fingerprint: null,
  enrolled_at: '2026-11-20T08:00:00.000000Z',
  notes: null,
  use_ipvlan: false,
  draining: false,
  fenced: true,
  agent_version: '1.0.0',
  cert_not_after: '2029-02-22T08:00:00.000000Z',
  renew_requested: false,
  owes: 0,
};

export const SHARD_EXAMPLE: z.infer<typeof ShardView> = {
  decky_name: 'web-01',
  decky_ip: '10.77.0.20',
  host_uuid: HOST_UUID,
  host_name: 'rack4-1',
  host_address: '192.0.2.11',
  host_status: 'active',
  services: ['http', 'ssh'],
  state: 'running',
  last_error: null,
  compose_hash: null,
  updated_at: SEEN,
  hostname: 'SRV-KILO-29',
  distro: 'debian',
  archetype: null,
  service_config: {},
  mutate_interval: null,
  last_mutated: 0,
  last_seen: SEEN,
};

export const TEARDOWN_EXAMPLE: z.infer<typeof TeardownAccepted> = {
  host_uuid: HOST_UUID,
  host_name: 'rack4-1',
  decky_id: 'web-01',
  accepted: true,
  detail: 'The agent of rack4-1 is asked to take web-01 down.',
  lifecycle_ids: ['4dd02dd6-7b2c-4b35-9a53-0f4b7c1c9f5e'],
};
