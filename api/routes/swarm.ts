/**
 * Hosts with agents, for administrators and the wizard (docs/wire.md#hosts-for-administrators),
 * with what ours has besides: moving the deckies of a host to others. The last part has the shapes
 * and their examples.
 */
import { createRoute, z } from '@hono/zod-openapi';
import { HOST_STATUS, type Host } from '../../adapters/postgres/hosts.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { ReportedDeckyRow } from '../../fleet/rows.ts';
import type { Logger } from '../../lib/logger.ts';
import { type AddRoutes, guarded, type RouteDependencies, type SwarmApiPorts } from '../dependencies.ts';
import { json, PREFIX, ROW_ID, refusals, unsupportedMediaType } from '../openapi.ts';
import { DeckyName } from '../schemas.ts';
import {
  acceptTeardown,
  decommission,
  HOST_NOT_FOUND,
  hostView,
  isoTime,
  probeAll,
  refuseBusy,
  takeDown,
} from '../swarm/orders.ts';
import { HostLostAfter, lostAfter } from './deckies.ts';

const list = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'get',
    path: `${PREFIX}/swarm/hosts`,
    tags: ['swarm'],
    summary: 'All hosts, by name; each is asked whether it is there',
    request: { query: z.object({ host_status: z.string().optional().openapi({ example: HOST_STATUS.active }) }) },
    responses: {
      200: { description: 'The hosts.', content: json(z.array(HostView), [HOST_EXAMPLE]) },
      ...refusals(400, 401, 403, 422),
    },
  });

const one = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'get',
    path: `${PREFIX}/swarm/hosts/{uuid}`,
    tags: ['swarm'],
    summary: 'A host',
    request: { params: z.object({ uuid: HostUuid }) },
    responses: {
      200: { description: 'The host.', content: json(HostView, HOST_EXAMPLE) },
      ...refusals(401, 403, 404, 422),
    },
  });

const change = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'patch',
    path: `${PREFIX}/swarm/hosts/{uuid}`,
    tags: ['swarm'],
    summary: 'Drain a host, have its certificate renewed, or change what is noted of it',
    request: {
      params: z.object({ uuid: HostUuid }),
      body: {
        required: true,
        content: json(
          z.strictObject({
            draining: z.boolean().optional().openapi({ description: 'takes no new deckies' }),
            renew: z.literal(true).optional().openapi({ description: 'the agent is told with its next heartbeat' }),
            use_ipvlan: z.boolean().optional(),
            notes: z
              .string()
              .max(2_000)
              .refine((text) => !text.includes('\0'))
              .nullable()
              .optional(),
          }),
          { draining: true },
        ),
      },
    },
    responses: {
      200: { description: 'The host as it is now.', content: json(HostView, HOST_EXAMPLE) },
      ...refusals(400, 401, 403, 404, 422),
      ...unsupportedMediaType,
    },
  });

const remove = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'delete',
    path: `${PREFIX}/swarm/hosts/{uuid}`,
    tags: ['swarm'],
    summary: 'Let a host go: it is out at once',
    request: {
      params: z.object({ uuid: HostUuid }),
      query: z.object({
        self_destruct: z
          .enum(['true', 'false'])
          .default('false')
          .openapi({ description: 'true: its agent is asked to take itself down first' }),
      }),
    },
    responses: { 204: { description: 'It is gone.' }, ...refusals(400, 401, 403, 404, 422) },
  });

const reportedDeckies = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'get',
    path: `${PREFIX}/swarm/deckies`,
    tags: ['swarm'],
    summary: 'What the hosts last said of their deckies',
    request: { query: z.object({ host_uuid: z.string().optional(), state: z.string().optional() }) },
    responses: {
      200: { description: 'By name.', content: json(z.array(ReportedDeckyView), [REPORTED_DECKY_EXAMPLE]) },
      ...refusals(400, 401, 403, 422),
    },
  });

const teardown = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: `${PREFIX}/swarm/hosts/{uuid}/teardown`,
    tags: ['swarm'],
    summary: 'Take down what runs on a host, or one decky of it',
    request: {
      params: z.object({ uuid: HostUuid }),
      body: {
        required: true,
        content: json(z.object({ decky_id: DeckyName.nullable().default(null), host_lost_after: HostLostAfter }), {
          decky_id: null,
        }),
      },
    },
    responses: {
      202: {
        description:
          'Accepted: a row for each decky that the fleet has there. Without rows, what the host reports says how it ended.',
        content: json(TeardownAccepted, TEARDOWN_EXAMPLE),
      },
      ...refusals(400, 401, 403, 404, 409, 422),
      ...unsupportedMediaType,
    },
  });

const ours = (host: Host) => ({
  ...hostView(host),
  draining: host.draining,
  fenced: host.fenced,
  agent_version: host.agentVersion,
  cert_not_after: host.certNotAfter && isoTime(host.certNotAfter),
  renew_requested: host.renewRequested,
  owes: host.pendingTeardowns,
});

async function existing({ hosts }: SwarmApiPorts, uuid: string): Promise<Host> {
  const host = await hosts.get(uuid);
  if (host === null) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
  return host;
}

/**
 * The fleet has nothing of it there, so that there is no row. The agent is asked, and its next
 * reports say how that ended.
 */
async function orderTeardown(swarm: SwarmApiPorts, host: Host, deckyId: string | null, log: Logger): Promise<void> {
  await refuseBusy(swarm, host);
  takeDown(swarm, host, deckyId).then(
    ({ ok, detail }) => ok || log.warn({ host: host.name, detail }, 'teardown of a host failed'),
    (error: unknown) => log.error({ err: error, host: host.name }, 'teardown of a host failed'),
  );
}

export const addSwarmRoutes: AddRoutes = (app, deps) => {
  const { swarm } = deps;
  if (swarm === undefined) return;

  app.openapi(list(deps), async (c) => {
    const { host_status } = c.req.valid('query');
    const status = Object.values(HOST_STATUS).find((known) => known === host_status);
    if (host_status !== undefined && status === undefined) return c.json([], 200);
    const probed = await probeAll(swarm, await swarm.hosts.list(status ? { status } : {}));
    return c.json(
      probed.map(({ host }) => ours(host)),
      200,
    );
  });

  app.openapi(one(deps), async (c) => c.json(ours(await existing(swarm, c.req.valid('param').uuid)), 200));

  app.openapi(change(deps), async (c) => {
    const { uuid } = c.req.valid('param');
    const { draining, renew, use_ipvlan, notes } = c.req.valid('json');
    if (renew && !(await swarm.hosts.requestRenewal(uuid))) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
    const host = await swarm.hosts.change(uuid, {
      ...(draining === undefined ? {} : { draining }),
      ...(use_ipvlan === undefined ? {} : { useIpvlan: use_ipvlan }),
      ...(notes === undefined ? {} : { notes }),
    });
    if (host === null) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
    return c.json(ours(host), 200);
  });

  app.openapi(remove(deps), async (c) => {
    await decommission(swarm, c.req.valid('param').uuid, c.req.valid('query').self_destruct === 'true');
    return c.body(null, 204);
  });

  app.openapi(teardown(deps), async (c) => {
    const host = await existing(swarm, c.req.valid('param').uuid);
    const { decky_id, host_lost_after } = c.req.valid('json');
    const options = lostAfter(host_lost_after);
    const ids = await acceptTeardown(swarm, { host, deckyId: decky_id, username: c.var.user.username, options });
    if (ids.length === 0) await orderTeardown(swarm, host, decky_id, c.var.log);
    const detail = `The agent of ${host.name} is asked to take ${decky_id ?? 'everything'} down.`;
    const answer = { host_uuid: host.uuid, host_name: host.name, decky_id, accepted: true as const, detail };
    return c.json({ ...answer, lifecycle_ids: ids }, 202);
  });

  app.openapi(reportedDeckies(deps), async (c) => {
    const { host_uuid: hostUuid, state } = c.req.valid('query');
    if (`${hostUuid}${state}`.includes('\0')) return c.json([], 200);
    const found = await swarm.reports.reportedDeckies({
      ...(hostUuid ? { hostUuid } : {}),
      ...(state ? { state } : {}),
    });
    return c.json(
      found.map((one) => ({ ...one, services: [...one.services] })),
      200,
    );
  });
};

/**
 * Moving what a host has to others: an operation of ours, before a host is let go (docs/swarm.md).
 */

const move = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: `${PREFIX}/swarm/hosts/{uuid}/move`,
    tags: ['swarm'],
    summary: 'Drain a host and move its deckies to others',
    description:
      'No new deckies for this host. It takes each down, then it comes up on another, with a row of operation `deploy`. Where this one can’t be reached they come up all the same, and go here when it is back: `owes` says how many are left.',
    request: { params: z.object({ uuid: HostUuid }) },
    responses: {
      202: {
        description: 'Accepted: a row for each decky.',
        headers: z.object({ 'Deckhand-Deployment-Id': z.string(), Location: z.string() }),
        content: json(z.object({ lifecycle_ids: z.array(z.string()) }), { lifecycle_ids: [ROW_ID] }),
      },
      ...refusals(401, 403, 404, 409, 422),
    },
  });

export const addSwarmMoveRoutes: AddRoutes = (app, deps) => {
  const { swarm } = deps;
  if (swarm === undefined) return;
  app.openapi(move(deps), async (c) => {
    const { uuid } = c.req.valid('param');
    if ((await swarm.hosts.get(uuid)) === null) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
    const { deployment_id: id, lifecycle_ids } = await deps.deployments.operate({
      username: c.var.user.username,
      kind: 'move',
      request: { host_uuid: uuid },
      options: deps.rolloutDefaults,
    });
    const headers = { 'Deckhand-Deployment-Id': id, Location: `${PREFIX}/deployments/${id}` };
    return c.json({ lifecycle_ids: [...lifecycle_ids] }, 202, headers);
  });
};

/** Shapes of the routes about hosts. */

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

/** `Shard` is DECNET's word for it. */
const ReportedDeckyView = ReportedDeckyRow.extend({}).openapi('Shard');

const TeardownAccepted = z.object({
  host_uuid: z.string(),
  host_name: z.string(),
  decky_id: z.string().nullable(),
  accepted: z.literal(true),
  detail: z.string(),
  lifecycle_ids: z.array(z.string()),
});

const HOST_UUID = '2c216c01-9ea6-576c-8474-bcf667779d4d';
const SEEN = '2026-11-23T19:00:37.601000Z';

const HOST_EXAMPLE: z.infer<typeof HostView> = {
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

const REPORTED_DECKY_EXAMPLE: z.infer<typeof ReportedDeckyView> = {
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

const TEARDOWN_EXAMPLE: z.infer<typeof TeardownAccepted> = {
  host_uuid: HOST_UUID,
  host_name: 'rack4-1',
  decky_id: 'web-01',
  accepted: true,
  detail: 'The agent of rack4-1 is asked to take web-01 down.',
  lifecycle_ids: ['4dd02dd6-7b2c-4b35-9a53-0f4b7c1c9f5e'],
};
