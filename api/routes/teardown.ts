/** Taking the whole fleet down: ours, since DECNET has only deckies and hosts (docs/wire.md#teardown). */
import { createRoute, z } from '@hono/zod-openapi';
import { DeckhandError } from '../../fleet/errors.ts';
import { rolloutWith } from '../../fleet/limits.ts';
import { TEXT } from '../errors.ts';
import { ROW_ID } from '../examples.ts';
import { json, PREFIX, refusals } from '../openapi.ts';
import { type AddRoutes, guarded, type RouteDependencies } from './dependencies.ts';
import { HostLostAfter, lostAfter } from './deploy-request.ts';

const teardownAll = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'delete',
    path: `${PREFIX}/deckies`,
    tags: ['deckies'],
    summary: 'Take the whole fleet down',
    description:
      'A row for each decky, each host by itself. Deckies of a host that can’t be reached stay listed as `tearing_down` and go when it is back.',
    request: { query: z.object({ host_lost_after: HostLostAfter }) },
    responses: {
      202: {
        description: 'Accepted: the rows of all that goes, those that were going before too.',
        headers: z.object({ 'Deckhand-Deployment-Id': z.string(), Location: z.string() }),
        content: json(z.object({ lifecycle_ids: z.array(z.string()) }), { lifecycle_ids: [ROW_ID] }),
      },
      ...refusals(400, 401, 403, 404, 409, 422),
    },
  });

export const addTeardownRoutes: AddRoutes = (app, deps) => {
  app.openapi(teardownAll(deps), async (c) => {
    if ((await deps.fleet.deckies()).length === 0) throw new DeckhandError('NotFound', TEXT.noDeployment);
    const { deployment_id: id, removed_lifecycle_ids: rows } = await deps.deployments.operate({
      username: c.var.user.username,
      kind: 'teardown',
      request: { host_uuid: null, owed: false },
      options: rolloutWith(deps.rolloutDefaults, lostAfter(c.req.valid('query').host_lost_after)),
    });
    const ids = [...new Set([...rows, ...(await deps.lifecycle.openTeardowns(null))])];
    const headers = { 'Deckhand-Deployment-Id': id, Location: `${PREFIX}/deployments/${id}` };
    return c.json({ lifecycle_ids: ids }, 202, headers);
  });
};
