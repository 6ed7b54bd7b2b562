/** Giving a decky other services, and how often that happens by itself (docs/wire.md#mutate). */
import { createHash } from 'node:crypto';
import { createRoute, z } from '@hono/zod-openapi';
import { INTERVAL_PATTERN, intervalMinutes, LONGEST_INTERVAL_MINUTES } from '../../fleet/durations.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import { checkInterval, TEXT } from '../errors.ts';
import { json, Message, PREFIX, ROW_ID, refusals, unsupportedMediaType } from '../openapi.ts';
import { DeckyName } from '../schemas.ts';
import { assertIdempotencyKey, IdempotencyKey } from './deckies.ts';

const MutateBody = z
  .object({
    services: z
      .array(z.string().min(1).max(128))
      .min(1)
      .max(64)
      .nullish()
      .openapi({ description: 'What the decky is to have; left out: one to three are drawn.' }),
  })
  .openapi('MutateRequest');

const mutate = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: `${PREFIX}/deckies/{decky_name}/mutate`,
    tags: ['deckies'],
    summary: 'Give a decky other services',
    description:
      'Only this decky is touched. Where the new services do not come up, what it was before comes back and the row says so.',
    request: {
      params: z.object({ decky_name: DeckyName }),
      headers: z.object({ 'idempotency-key': IdempotencyKey }),
      body: { required: false, content: json(MutateBody, { services: ['http', 'ssh'] }) },
    },
    responses: {
      202: {
        description: 'Accepted: one row.',
        headers: z.object({ 'Deckhand-Deployment-Id': z.string() }),
        content: json(z.object({ lifecycle_ids: z.array(z.string()), warnings: z.array(z.string()).optional() }), {
          lifecycle_ids: [ROW_ID],
        }),
      },
      ...refusals(400, 401, 403, 404, 409, 422),
      ...unsupportedMediaType,
    },
  });

/** DECNET's own page sends a number, which counts as minutes (docs/gaps.md, C21). */
const Interval = z.preprocess(
  (value) => (Number.isInteger(value) && Number(value) > 0 ? `${value}m` : value),
  z.string().superRefine(checkInterval).transform(intervalMinutes).nullish(),
);

const setDeckyInterval = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'put',
    path: `${PREFIX}/deckies/{decky_name}/mutate-interval`,
    tags: ['deckies'],
    summary: 'Set how often a decky mutates by itself',
    request: {
      params: z.object({ decky_name: DeckyName }),
      body: {
        required: true,
        content: json(
          z.object({
            mutate_interval: Interval.openapi({
              type: ['string', 'integer', 'null'],
              pattern: INTERVAL_PATTERN.source,
              minimum: 1,
              maximum: LONGEST_INTERVAL_MINUTES,
              description: 'm: minutes, d: days, M: months, y or Y: years; a number: minutes; null: never.',
              example: '30m',
            }),
          }),
          { mutate_interval: '30m' },
        ),
      },
    },
    responses: {
      200: { description: 'Set.', content: json(Message, { message: 'Mutation interval updated' }) },
      ...refusals(400, 401, 403, 404, 422),
      ...unsupportedMediaType,
    },
  });

/**
 * What is unknown is refused before anything is stored; with a key the answer may be that of an
 * earlier request.
 */
async function assertKnown(deps: RouteDependencies, name: string): Promise<void> {
  const deckies = await deps.fleet.deckies();
  if (deckies.length === 0) throw new DeckhandError('NotFound', TEXT.noDeployment);
  if (!deckies.some((decky) => decky.name === name)) throw new DeckhandError('NotFound', `Decky ${name} not found`);
}

const hashOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

export const addMutationRoutes: AddRoutes = (app, deps) => {
  app.openapi(mutate(deps), async (c) => {
    const { decky_name } = c.req.valid('param');
    const services = c.req.valid('json').services ?? null;
    const key = c.req.valid('header')['idempotency-key'];
    if (key === undefined) await assertKnown(deps, decky_name);
    else assertIdempotencyKey(key);
    const { deployment_id, lifecycle_ids, warnings } = await deps.deployments.mutate({
      username: c.var.user.username,
      decky_name,
      services,
      options: deps.rolloutDefaults,
      idempotency: key === undefined ? null : { key, body_hash: hashOf([decky_name, services]) },
    });
    const more = warnings.length > 0 ? { warnings: [...warnings] } : {};
    return c.json({ lifecycle_ids: [...lifecycle_ids], ...more }, 202, { 'Deckhand-Deployment-Id': deployment_id });
  });

  app.openapi(setDeckyInterval(deps), async (c) => {
    const minutes = c.req.valid('json').mutate_interval ?? null;
    await deps.rotations.setDeckyInterval(c.req.valid('param').decky_name, minutes);
    return c.json({ message: 'Mutation interval updated' }, 200);
  });
};
