/** Deployments and the fleet as the screens show them. */
import { createRoute, z } from '@hono/zod-openapi';
import { DeckhandError } from '../../fleet/errors.ts';
import { EXAMPLES } from '../examples.ts';
import { json, PREFIX, refusals } from '../openapi.ts';
import { Deployment, DeploymentDetailView, Fleet } from '../schemas.ts';
import { type AddRoutes, guarded, type RouteDependencies } from './dependencies.ts';

const LIST_DEFAULT = 20;
const LIST_MAX = 200;

const list = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    method: 'get',
    path: `${PREFIX}/deployments`,
    tags: ['deployments'],
    summary: 'Recent deployments, newest first',
    request: {
      query: z.object({
        limit: z.coerce.number().int().min(1).max(LIST_MAX).default(LIST_DEFAULT).openapi({ example: LIST_DEFAULT }),
        cursor: z
          .string()
          .regex(/^[\w-]{1,64}$/)
          .optional()
          .openapi({ description: '`next_cursor` of the page before.' }),
      }),
    },
    responses: {
      200: {
        description: 'The deployments.',
        content: json(
          z.object({ deployments: z.array(Deployment), next_cursor: z.string().nullable() }),
          EXAMPLES.deployments,
        ),
      },
      ...refusals(400, 401, 403, 422),
    },
  });

const detail = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    method: 'get',
    path: `${PREFIX}/deployments/{deployment_id}`,
    tags: ['deployments'],
    summary: 'A deployment, its rows, and what it waits for',
    request: {
      params: z.object({
        deployment_id: z
          .string()
          .max(64)
          .openapi({ param: { name: 'deployment_id', in: 'path' } }),
      }),
    },
    responses: {
      200: { description: 'The deployment.', content: json(DeploymentDetailView, EXAMPLES.deployment) },
      ...refusals(401, 403, 404, 422),
    },
  });

const fleet = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    method: 'get',
    path: `${PREFIX}/fleet`,
    tags: ['deployments'],
    summary: 'The fleet with what was last seen of it',
    responses: { 200: { description: 'The fleet.', content: json(Fleet, EXAMPLES.fleet) }, ...refusals(401, 403) },
  });

export const addDeploymentRoutes: AddRoutes = (app, deps) => {
  app.openapi(list(deps), async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const found = await deps.deploymentReader.list(limit + 1, cursor);
    const deployments = found.slice(0, limit);
    const next = found.length > limit ? (deployments.at(-1)?.deployment_id ?? null) : null;
    return c.json({ deployments, next_cursor: next }, 200);
  });

  app.openapi(detail(deps), async (c) => {
    const id = c.req.valid('param').deployment_id;
    const found = id.includes('\0') ? null : await deps.deploymentReader.get(id);
    if (found === null) throw new DeckhandError('NotFound', `There is no deployment ${id}`);
    return c.json({ ...found, warnings: [...found.warnings], rows: [...found.rows] }, 200);
  });

  app.openapi(fleet(deps), async (c) => {
    const { network, deckies } = await deps.fleet.overview();
    const views = deckies.map((decky) => ({ ...decky, services: [...decky.services], drift: [...decky.drift] }));
    return c.json({ network, simulated: deps.simulated, deckies: views }, 200);
  });
};
