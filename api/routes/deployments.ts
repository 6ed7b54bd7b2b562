/** Deployments and the fleet as the screens show them. */
import { createRoute, z } from '@hono/zod-openapi';
import { DeckhandError } from '../../fleet/errors.ts';
import { hasEnded } from '../../fleet/lifecycle.ts';
import type { DeploymentDetail } from '../../fleet/rows.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import { EXAMPLES, json, PREFIX, refusals } from '../openapi.ts';
import { Deployment, DeploymentDetailView, Fleet } from '../schemas.ts';

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

const DeploymentId = z.object({
  deployment_id: z
    .string()
    .max(64)
    .openapi({ param: { name: 'deployment_id', in: 'path' } }),
});

const detail = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    method: 'get',
    path: `${PREFIX}/deployments/{deployment_id}`,
    tags: ['deployments'],
    summary: 'A deployment, its rows, and what it waits for',
    request: { params: DeploymentId },
    responses: {
      200: { description: 'The deployment.', content: json(DeploymentDetailView, EXAMPLES.deployment) },
      ...refusals(401, 403, 404, 422),
    },
  });

const cancel = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: `${PREFIX}/deployments/{deployment_id}/cancel`,
    tags: ['deployments'],
    summary: 'Cancel what is open of a deployment',
    description:
      'Of any kind. Rows that are open end as `failed` with `Cancelled`, or as what they had become by then; what was half made is removed, or what ran before comes back, also on hosts; an agent of DECNET, or a host that does not answer, goes on with what it was sent, and the row says so. The next operation in line goes on.',
    request: { params: DeploymentId },
    responses: {
      202: {
        description: 'It was asked for; the rows named here were open.',
        headers: z.object({ Location: z.string() }),
        content: json(
          z.object({ message: z.string(), deployment_id: z.string(), lifecycle_ids: z.array(z.string()) }),
          EXAMPLES.cancelled,
        ),
      },
      ...refusals(401, 403, 404, 409, 422),
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

  async function found(id: string): Promise<DeploymentDetail> {
    const detail = id.includes('\0') ? null : await deps.deploymentReader.get(id);
    if (detail === null) throw new DeckhandError('NotFound', `There is no deployment ${id}`);
    return detail;
  }

  app.openapi(detail(deps), async (c) => {
    const detail = await found(c.req.valid('param').deployment_id);
    return c.json(detail, 200);
  });

  app.openapi(cancel(deps), async (c) => {
    const { deployment_id, state, ended_at, rows } = await found(c.req.valid('param').deployment_id);
    if (state === 'received')
      throw new DeckhandError(
        'NotCancellable',
        'It is being decided still whether it is accepted; ask again in a moment.',
      );
    if (state !== 'accepted' || ended_at !== null)
      throw new DeckhandError('NotCancellable', `Deployment ${deployment_id} has ended; there is nothing to cancel.`);
    await deps.deployments.cancel(deployment_id);
    const lifecycle_ids = rows.filter(({ status }) => !hasEnded(status)).map(({ id }) => id);
    const message = `Cancellation asked for; ${lifecycle_ids.length} row(s) were open.`;
    return c.json({ message, deployment_id, lifecycle_ids }, 202, {
      Location: `${PREFIX}/deployments/${deployment_id}`,
    });
  });

  app.openapi(fleet(deps), async (c) => {
    const { network, deckies } = await deps.fleet.overview();
    const views = deckies.map((decky) => ({ ...decky, services: [...decky.services], drift: [...decky.drift] }));
    return c.json({ network, simulated: deps.simulated, deckies: views }, 200);
  });
};
