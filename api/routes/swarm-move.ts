/** Moving what a host has to others: an operation of ours, before a host is let go (docs/swarm.md). */
import { createRoute, z } from '@hono/zod-openapi';
import { DeckhandError } from '../../fleet/errors.ts';
import { ROW_ID } from '../examples.ts';
import { json, PREFIX, refusals } from '../openapi.ts';
import { HOST_NOT_FOUND } from '../swarm/hosts.ts';
import { type AddRoutes, guarded, type RouteDependencies } from './dependencies.ts';
import { HostUuid } from './swarm-schemas.ts';

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
