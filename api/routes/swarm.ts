/** Hosts with agents, for administrators and the wizard (docs/wire.md#hosts-for-administrators), with what ours has besides. */
import { createRoute, z } from '@hono/zod-openapi';
import { HOST_STATUS, type Host } from '../../adapters/postgres/hosts.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { json, PREFIX, refusals, unsupportedMediaType } from '../openapi.ts';
import { DeckyName } from '../schemas.ts';
import { decommission, HOST_NOT_FOUND } from '../swarm/hosts.ts';
import { refuseBusy, takeDown } from '../swarm/orders.ts';
import type { SwarmApiPorts } from '../swarm/ports.ts';
import { probeAll } from '../swarm/probes.ts';
import { acceptTeardown } from '../swarm/teardowns.ts';
import { hostView, isoTime } from '../swarm/views.ts';
import { type AddRoutes, guarded, type RouteDependencies } from './dependencies.ts';
import { HostLostAfter, lostAfter } from './deploy-request.ts';
import {
  HOST_EXAMPLE,
  HostUuid,
  HostView,
  SHARD_EXAMPLE,
  ShardView,
  TEARDOWN_EXAMPLE,
  TeardownAccepted,
} from './swarm-schemas.ts';

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

const shards = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'get',
    path: `${PREFIX}/swarm/deckies`,
    tags: ['swarm'],
    summary: 'What the hosts last said of their deckies',
    request: { query: z.object({ host_uuid: z.string().optional(), state: z.string().optional() }) },
    responses: {
      200: { description: 'By name.', content: json(z.array(ShardView), [SHARD_EXAMPLE]) },
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
  owes: host.owes,
});

async function existing({ hosts }: SwarmApiPorts, uuid: string): Promise<Host> {
  const host = await hosts.get(uuid);
  if (host === null) throw new DeckhandError('NotFound', HOST_NOT_FOUND);
  return host;
}

/** The fleet knows nothing of it there, so that no row can tell: the agent is asked, and its shards say how that ended. */
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

  app.openapi(shards(deps), async (c) => {
    const { host_uuid: hostUuid, state } = c.req.valid('query');
    if (`${hostUuid}${state}`.includes('\0')) return c.json([], 200);
    const found = await swarm.reports.shards({ ...(hostUuid ? { hostUuid } : {}), ...(state ? { state } : {}) });
    return c.json(
      found.map((shard) => ({ ...shard, services: [...shard.services] })),
      200,
    );
  });
};
