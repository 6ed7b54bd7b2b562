/** Login, change of password, logout, tickets for event streams (docs/wire.md#login-and-tokens). */
import { createRoute, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { TICKET_SECONDS } from '../../adapters/postgres/users.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { isLoginKey, LOGIN_KEY_HEADER } from '../../lib/login-key.ts';
import type { FailureLimit } from '../auth.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import type { ApiEnv } from '../environment.ts';
import { TooManyAttempts } from '../errors.ts';
import { EXAMPLES, json, Message, PREFIX, refusals, tooManyAttempts, unsupportedMediaType } from '../openapi.ts';
import { NewPassword, Password } from '../schemas.ts';

const login = createRoute({
  method: 'post',
  path: `${PREFIX}/auth/login`,
  tags: ['auth'],
  summary: 'Log in',
  description:
    'Ten wrong passwords from one address, or for one user, make both wait. Who shows the login key of the stack’s own file waits for their own ones only.',
  request: {
    headers: z.object({ [LOGIN_KEY_HEADER]: z.string().optional() }),
    body: {
      required: true,
      content: json(z.object({ username: z.string().max(256), password: Password }), {
        username: 'admin',
        password: 'correct-horse-battery',
      }),
    },
  },
  responses: {
    200: {
      description: 'A token for `Authorization: Bearer`.',
      content: json(
        z.object({ access_token: z.string(), token_type: z.literal('bearer'), must_change_password: z.boolean() }),
        EXAMPLES.token,
      ),
    },
    ...refusals(400, 401, 422),
    ...unsupportedMediaType,
    ...tooManyAttempts,
  },
});

const changePassword = (deps: RouteDependencies) =>
  createRoute({
    method: 'post',
    path: `${PREFIX}/auth/change-password`,
    tags: ['auth'],
    summary: 'Change one’s own password',
    description: 'All tokens issued so far stop counting.',
    ...guarded(deps, { role: 'viewer', beforePasswordChange: true }),
    request: {
      body: {
        required: true,
        content: json(z.object({ old_password: Password, new_password: NewPassword }), EXAMPLES.passwordChange),
      },
    },
    responses: {
      200: { description: 'Changed.', content: json(Message, { message: 'Password updated successfully' }) },
      ...refusals(400, 401, 422),
      ...unsupportedMediaType,
      ...tooManyAttempts,
    },
  });

const logout = (deps: RouteDependencies) =>
  createRoute({
    method: 'post',
    path: `${PREFIX}/auth/logout`,
    tags: ['auth'],
    summary: 'Log out: the token stops counting',
    ...guarded(deps, { role: 'viewer', beforePasswordChange: true }),
    responses: {
      200: { description: 'Logged out.', content: json(Message, { message: 'Logged out' }) },
      ...refusals(401),
    },
  });

const ticket = (deps: RouteDependencies) =>
  createRoute({
    method: 'post',
    path: `${PREFIX}/auth/sse-ticket`,
    tags: ['auth'],
    summary: 'A ticket for an event stream',
    description: 'For `?ticket=`, where a browser can send no header. Good for one use.',
    ...guarded(deps, { role: 'viewer' }),
    responses: {
      200: {
        description: 'A ticket.',
        content: json(z.object({ ticket: z.string(), expires_in: z.number() }), EXAMPLES.ticket),
      },
      ...refusals(401, 403),
    },
  });

/** The peer's address; requests made in-process have none. */
const peerOf = (c: Context<ApiEnv>): string => c.env?.incoming?.socket.remoteAddress ?? 'in-process';

/**
 * Checks a password; wrong ones count, and too many of them are answered with 429 without a look at
 * the password.
 */
async function verifyCounted(
  deps: RouteDependencies,
  limit: FailureLimit | null,
  keys: readonly string[],
  password: string,
  passwordHash: string | null,
): Promise<boolean> {
  const fits = await deps.passwords.verify(password, passwordHash, () => {
    const wait = limit?.retryAfterSeconds(keys) ?? null;
    if (wait !== null) throw new TooManyAttempts(`Too many wrong passwords. Try again in ${wait} seconds.`, wait);
  });
  if (!fits) limit?.recordFailure(keys);
  return fits;
}

export const addAuthRoutes: AddRoutes = (app, deps) => {
  app.openapi(login, async (c) => {
    const { username, password } = c.req.valid('json');
    const since = Date.now();
    const user = username.includes('\0') ? null : await deps.users.byUsername(username);
    // Others on this machine have the command's address, and may know the administrator's name.
    const owner = isLoginKey(c.req.valid('header')[LOGIN_KEY_HEADER], deps.jwt.secret);
    const keys = owner ? [`owner:${username}`] : [`peer:${peerOf(c)}`, `user:${username}`];
    const fits = await verifyCounted(deps, deps.loginLimit, keys, password, user?.password_hash ?? null);
    if (!fits || user === null) throw new DeckhandError('Unauthenticated', 'Incorrect username or password');
    const token = await deps.accessTokens.issue(user, since);
    return c.json(
      { access_token: token, token_type: 'bearer' as const, must_change_password: user.must_change_password },
      200,
    );
  });

  app.openapi(changePassword(deps), async (c) => {
    const { old_password, new_password } = c.req.valid('json');
    const { uuid, password_hash } = c.var.user;
    const fits = await verifyCounted(deps, deps.passwordLimit, [uuid], old_password, password_hash);
    if (!fits) throw new DeckhandError('Unauthenticated', 'Incorrect old password');
    // An administrator may have reset it meanwhile: passwords are looked at in turn, which can take
    // seconds.
    const changed = await deps.users.changePassword(uuid, password_hash, await deps.passwords.hash(new_password));
    if (!changed) throw new DeckhandError('Unauthenticated', 'Incorrect old password');
    return c.json({ message: 'Password updated successfully' }, 200);
  });

  app.openapi(logout(deps), async (c) => {
    await deps.tokens.revoke(c.var.claims.jti, c.var.claims.exp);
    return c.json({ message: 'Logged out' }, 200);
  });

  app.openapi(ticket(deps), async (c) => {
    const issued = await deps.tokens.issueTicket(c.var.claims);
    return c.json({ ticket: issued, expires_in: TICKET_SECONDS }, 200);
  });
};
