/** Below `/config`: users, whom admins keep, and the settings that they change at run time. */
import { createRoute, z } from '@hono/zod-openapi';
import { INTERVAL_PATTERN } from '../../fleet/durations.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { LIMITS } from '../../fleet/limits.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import { checkInterval } from '../errors.ts';
import { EXAMPLES, json, Message, PREFIX, refusals, unsupportedMediaType } from '../openapi.ts';
import { NewPassword, Username, UserRole, UserView } from '../schemas.ts';

const params = z.object({ user_uuid: z.string().openapi({ param: { name: 'user_uuid', in: 'path' } }) });

const create = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    tags: ['users'],
    method: 'post',
    path: `${PREFIX}/config/users`,
    summary: 'Create a user, who has to change the password at first',
    request: {
      body: {
        required: true,
        content: json(
          z.object({ username: Username, password: NewPassword, role: UserRole.default('viewer') }),
          EXAMPLES.newUser,
        ),
      },
    },
    responses: {
      200: { description: 'Created.', content: json(UserView, EXAMPLES.user) },
      ...refusals(400, 401, 403, 409, 422),
      ...unsupportedMediaType,
    },
  });

const resetPassword = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    tags: ['users'],
    method: 'put',
    path: `${PREFIX}/config/users/{user_uuid}/reset-password`,
    summary: 'Give a user a password, to be changed at the next login',
    description: 'All tokens of that user stop counting.',
    request: {
      params,
      body: { required: true, content: json(z.object({ new_password: NewPassword }), EXAMPLES.newPassword) },
    },
    responses: {
      200: { description: 'Reset.', content: json(Message, { message: 'Password reset successfully' }) },
      ...refusals(400, 401, 403, 404, 422),
      ...unsupportedMediaType,
    },
  });

const setRole = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    tags: ['users'],
    method: 'put',
    path: `${PREFIX}/config/users/{user_uuid}/role`,
    summary: 'Give a user another role',
    description: 'All tokens of that user stop counting. Nobody can change their own role.',
    request: { params, body: { required: true, content: json(z.object({ role: UserRole }), { role: 'admin' }) } },
    responses: {
      200: { description: 'Changed.', content: json(Message, { message: 'User role updated' }) },
      ...refusals(400, 401, 403, 404, 422),
      ...unsupportedMediaType,
    },
  });

const remove = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    tags: ['users'],
    method: 'delete',
    path: `${PREFIX}/config/users/{user_uuid}`,
    summary: 'Delete a user',
    request: { params },
    responses: {
      200: { description: 'Deleted.', content: json(Message, { message: 'User deleted' }) },
      ...refusals(401, 403, 404),
    },
  });

const assertFound = (uuidKnown: boolean): void => {
  if (!uuidKnown) throw new DeckhandError('NotFound', 'User not found');
};

export const addUserRoutes: AddRoutes = (app, deps) => {
  app.openapi(create(deps), async (c) => {
    const { username, password, role } = c.req.valid('json');
    const password_hash = await deps.passwords.hash(password);
    return c.json(await deps.users.create({ username, password_hash, role, must_change_password: true }), 200);
  });

  app.openapi(resetPassword(deps), async (c) => {
    const uuid = c.req.valid('param').user_uuid;
    const passwordHash = await deps.passwords.hash(c.req.valid('json').new_password);
    assertFound(!uuid.includes('\0') && (await deps.users.resetPassword(uuid, passwordHash)));
    return c.json({ message: 'Password reset successfully' }, 200);
  });

  app.openapi(setRole(deps), async (c) => {
    const uuid = c.req.valid('param').user_uuid;
    if (uuid === c.var.user.uuid) throw new DeckhandError('Forbidden', 'Cannot change your own role');
    assertFound(!uuid.includes('\0') && (await deps.users.setRole(uuid, c.req.valid('json').role)));
    return c.json({ message: 'User role updated' }, 200);
  });

  app.openapi(remove(deps), async (c) => {
    const uuid = c.req.valid('param').user_uuid;
    if (uuid === c.var.user.uuid) throw new DeckhandError('Forbidden', 'Cannot delete your own account');
    assertFound(!uuid.includes('\0') && (await deps.users.remove(uuid)));
    return c.json({ message: 'User deleted' }, 200);
  });
};

/** The settings. */

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

const setGlobalInterval = (deps: RouteDependencies) =>
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

  app.openapi(setGlobalInterval(deps), async (c) => {
    await deps.settings.setGlobalMutationInterval(c.req.valid('json').global_mutation_interval);
    return c.json({ message: 'Global mutation interval updated' }, 200);
  });
};
