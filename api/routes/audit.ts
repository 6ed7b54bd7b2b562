/** GET /api/v1/audit: admins read who changed what, a page at a time. */
import { createRoute, z } from '@hono/zod-openapi';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import { json, PREFIX, refusals } from '../openapi.ts';

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 200;
const fields = z.record(z.string(), z.unknown());

const Entry = z
  .object({
    id: z.string(),
    at: z.string().openapi({ example: '2026-11-23T19:00:37.601031Z' }),
    listener: z.string().openapi({ description: '`operators` or `swarm`' }),
    username: z.string().nullable().openapi({ description: 'null: nobody who is known' }),
    peer: z.string().nullable(),
    request_id: z.string(),
    method: z.string(),
    path: z.string(),
    subject: z.object({ kind: z.string(), name: z.string() }).nullable(),
    request: fields.openapi({ description: 'What was asked for; never a secret.' }),
    before: fields.nullable(),
    after: fields.nullable(),
    status: z.number().nullable().openapi({ description: 'null: the master died before it answered' }),
    error_code: z.string().nullable(),
  })
  .openapi('AuditEntry');

const EXAMPLE = {
  entries: [
    {
      id: '41',
      at: '2026-11-23T19:00:37.601031Z',
      listener: 'operators',
      username: 'admin',
      peer: '127.0.0.1',
      request_id: '6a0cf3f2-6d6c-4f0c-9d7b-1d4bb1b9f0c1',
      method: 'PUT',
      path: '/api/v1/config/deployment-limit',
      subject: { kind: 'setting', name: 'deployment_limit' },
      request: { deployment_limit: 20 },
      before: { key: 'deployment_limit', value: 10 },
      after: { key: 'deployment_limit', value: 20 },
      status: 200,
      error_code: null,
    },
  ],
  next_cursor: null,
};

const list = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'get',
    path: `${PREFIX}/audit`,
    tags: ['audit'],
    summary: 'Who changed what, newest first',
    request: {
      query: z.object({
        limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT).openapi({ example: LIMIT_DEFAULT }),
        cursor: z
          .string()
          .regex(/^\d{1,18}$/)
          .optional()
          .openapi({ description: '`next_cursor` of the page before.' }),
        user: z.string().max(256).optional().openapi({ description: 'Only what this user did.' }),
      }),
    },
    responses: {
      200: {
        description: 'The entries.',
        content: json(z.object({ entries: z.array(Entry), next_cursor: z.string().nullable() }), EXAMPLE),
      },
      ...refusals(400, 401, 403, 422),
    },
  });

export const addAuditRoutes: AddRoutes = (app, deps) => {
  app.openapi(list(deps), async (c) => {
    const { limit, cursor, user } = c.req.valid('query');
    const username = user?.replaceAll('\0', '') ?? null;
    const found = (await deps.audit?.list({ limit: limit + 1, before: cursor ?? null, username })) ?? [];
    const entries = found.slice(0, limit);
    const next = found.length > limit ? (entries.at(-1)?.id ?? null) : null;
    return c.json({ entries, next_cursor: next }, 200);
  });
};
