/** What an admin sets at run time (DECNET: /config). */
import { createRoute, z } from '@hono/zod-openapi';
import { INTERVAL_PATTERN } from '../../fleet/durations.ts';
import { LIMITS } from '../../fleet/limits.ts';
import { json, Message, PREFIX, refusals, unsupportedMediaType } from '../openapi.ts';
import { UserRole, UserView } from '../schemas.ts';
import { checkInterval } from '../validation.ts';
import { type AddRoutes, guarded, type RouteDependencies } from './dependencies.ts';

/** An integer, or a text that is one, as DECNET's models take it. */
const lax = z.union([z.number(), z.string().regex(/^\s*\d{1,9}\s*$/)]).transform(Number);

const readConfig = (deps: RouteDependencies) =>
  createRoute({
    method: 'get',
    path: `${PREFIX}/config`,
    tags: ['config'],
    summary: 'Settings; for an admin with the users',
    ...guarded(deps, { role: 'viewer' }),
    responses: {
      200: {
        description: 'The settings.',
        content: json(
          z.object({
            role: UserRole,
            deployment_limit: z.number(),
            global_mutation_interval: z.string(),
            users: z.array(UserView).optional(),
          }),
          { role: 'viewer', deployment_limit: 10, global_mutation_interval: '30m' },
        ),
      },
      ...refusals(401, 403),
    },
  });

const setLimit = (deps: RouteDependencies) =>
  createRoute({
    method: 'put',
    path: `${PREFIX}/config/deployment-limit`,
    tags: ['config'],
    summary: 'Set how many deckies a fleet may have',
    ...guarded(deps, { role: 'admin' }),
    request: {
      body: {
        required: true,
        content: json(
          z.object({
            deployment_limit: lax.pipe(z.number().int().min(1).max(LIMITS.deploymentLimitMax)).openapi({
              type: 'integer',
              minimum: 1,
              maximum: LIMITS.deploymentLimitMax,
              example: 40,
            }),
          }),
          { deployment_limit: 40 },
        ),
      },
    },
    responses: {
      200: { description: 'Set.', content: json(Message, { message: 'Deployment limit updated' }) },
      ...refusals(400, 401, 403, 422),
      ...unsupportedMediaType,
    },
  });

const setInterval = (deps: RouteDependencies) =>
  createRoute({
    method: 'put',
    path: `${PREFIX}/config/global-mutation-interval`,
    tags: ['config'],
    summary: 'Set the interval that deckies without one of their own inherit',
    ...guarded(deps, { role: 'admin' }),
    request: {
      body: {
        required: true,
        content: json(
          z.object({
            global_mutation_interval: z
              .string()
              .regex(INTERVAL_PATTERN)
              .superRefine(checkInterval)
              .openapi({ description: 'm: minutes, d: days, M: months, y or Y: years', example: '2d' }),
          }),
          { global_mutation_interval: '2d' },
        ),
      },
    },
    responses: {
      200: { description: 'Set.', content: json(Message, { message: 'Global mutation interval updated' }) },
      ...refusals(400, 401, 403, 422),
      ...unsupportedMediaType,
    },
  });

export const addSettingsRoutes: AddRoutes = (app, deps) => {
  app.openapi(readConfig(deps), async (c) => {
    const { role } = c.var.user;
    const settings = {
      role,
      deployment_limit: await deps.settings.deploymentLimit(),
      global_mutation_interval: await deps.settings.globalMutationInterval(),
    };
    return c.json(role === 'admin' ? { ...settings, users: await deps.users.list() } : settings, 200);
  });

  app.openapi(setLimit(deps), async (c) => {
    await deps.settings.setDeploymentLimit(c.req.valid('json').deployment_limit);
    return c.json({ message: 'Deployment limit updated' }, 200);
  });

  app.openapi(setInterval(deps), async (c) => {
    await deps.settings.setGlobalMutationInterval(c.req.valid('json').global_mutation_interval);
    return c.json({ message: 'Global mutation interval updated' }, 200);
  });
};
