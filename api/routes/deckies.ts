/**
 * Deploying, showing and taking down deckies (docs/wire.md#deploy, docs/wire.md#deckies-and-rows):
 * one, or the whole fleet. The last part is the body of a deploy, with the rollout options and the
 * idempotency key that other routes take too.
 */

import { createHash } from 'node:crypto';
import { createRoute, z } from '@hono/zod-openapi';
import type { DeckyConfig } from '../../fleet/config.ts';
import { DURATION_PATTERN, DURATIONS, type DurationName, durationText, rangeOf } from '../../fleet/durations.ts';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import { STATUS } from '../../fleet/lifecycle.ts';
import { LIMITS, parseRollout, type RolloutOptions, rolloutWith } from '../../fleet/limits.ts';
import { planDeploy } from '../../fleet/plan-deploy.ts';
import type { AcceptedDeployment, DeployInput } from '../../operations/submit.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import { TEXT } from '../errors.ts';
import { EXAMPLES, json, PREFIX, ROW_ID, refusals, unsupportedMediaType } from '../openapi.ts';
import { DeckyConfigView, DeckyName, Row } from '../schemas.ts';

const deploy = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: `${PREFIX}/deckies/deploy`,
    tags: ['deckies'],
    summary: 'Deploy a fleet',
    description:
      'Accepted means: every row that is named reaches an end. With an `Idempotency-Key`, the same request again gets the first answer.',
    request: {
      headers: z.object({ 'idempotency-key': IdempotencyKey }),
      body: {
        required: true,
        content: json(DeployBody, { ini_content: '[web-01]\nservices=http,ssh\n', replace_fleet: false }),
      },
    },
    responses: {
      202: {
        description: 'Accepted: a row for each decky.',
        headers: z.object({ 'Deckhand-Deployment-Id': z.string(), Location: z.string() }),
        content: json(
          z.object({
            message: z.string(),
            mode: z.string(),
            lifecycle_ids: z.array(z.string()),
            removed_lifecycle_ids: z.array(z.string()).optional(),
            warnings: z.array(z.string()).optional(),
          }),
          {
            message: 'Deploy accepted (1 decky/ies, mode=unihost). Poll /deckies/lifecycle?ids=... for completion.',
            mode: 'unihost',
            lifecycle_ids: [ROW_ID],
          },
        ),
      },
      ...refusals(400, 401, 403, 409, 422),
      ...unsupportedMediaType,
    },
  });

const lifecycle = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    method: 'get',
    path: `${PREFIX}/deckies/lifecycle`,
    tags: ['deckies'],
    summary: 'Rows by their ids',
    description: 'Ordered by `started_at`; unknown ids are left out.',
    request: {
      query: z.object({
        ids: z
          .union([z.string(), z.array(z.string())])
          .transform((ids) => (typeof ids === 'string' ? [ids] : ids))
          .pipe(z.array(z.string()).max(LIMITS.lifecycleIdsPerQuery))
          .openapi({
            type: 'array',
            items: { type: 'string' },
            maxItems: LIMITS.lifecycleIdsPerQuery,
            example: [ROW_ID],
          }),
      }),
    },
    responses: {
      200: { description: 'The rows.', content: json(z.object({ rows: z.array(Row) }), EXAMPLES.rows) },
      ...refusals(400, 401, 403, 422),
    },
  });

const list = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    method: 'get',
    path: `${PREFIX}/deckies`,
    tags: ['deckies'],
    summary: 'The fleet’s configuration, by name',
    responses: {
      200: { description: 'A DeckyConfig each.', content: json(z.array(DeckyConfigView), EXAMPLES.deckies) },
      ...refusals(401, 403),
    },
  });

const teardown = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'delete',
    path: `${PREFIX}/deckies/{decky_name}`,
    tags: ['deckies'],
    summary: 'Take a decky down',
    request: { params: z.object({ decky_name: DeckyName }) },
    responses: {
      202: {
        description: 'Under way, or failed: the row says.',
        content: json(z.object({ lifecycle_ids: z.array(z.string()) }), { lifecycle_ids: [ROW_ID] }),
      },
      204: { description: 'It is down.' },
      ...refusals(401, 403, 404, 409, 422),
    },
  });

/** Refusals that may come of the same request having been accepted before. */
const CONFLICTS: ReadonlySet<string> = new Set([
  'DeckyExists',
  'DeckyBusy',
  'AddressInUse',
  'PoolExhausted',
  'DeploymentLimit',
  'NetworkConflict',
]);

/**
 * Refuses what can't be before anything is stored or started; the worker plans again, in the
 * transaction that counts. With an Idempotency-Key a conflict with the fleet is left to that: the
 * deckies may stand there by this very request.
 */
async function assertDeployable(deps: RouteDependencies, input: DeployInput): Promise<void> {
  try {
    planDeploy(input.request, await deps.fleet.snapshot(), input.network, 'preview');
  } catch (error) {
    if (input.idempotency !== null && isDeckhandError(error) && CONFLICTS.has(error.code)) return;
    throw error;
  }
}

async function accept(deps: RouteDependencies, input: DeployInput): Promise<AcceptedDeployment> {
  await assertDeployable(deps, input);
  return deps.deployments.deploy(input);
}

async function assertInFleet(deps: RouteDependencies, name: string): Promise<void> {
  const deckies = await deps.fleet.deckies();
  if (deckies.length === 0) throw new DeckhandError('NotFound', TEXT.noDeployment);
  if (!deckies.some((decky) => decky.name === name)) throw new DeckhandError('NotFound', `Decky ${name} not found`);
}

async function isDown(deps: RouteDependencies, lifecycleId: string): Promise<boolean> {
  if (!(await deps.deployments.waitForRows([lifecycleId], deps.teardownWaitMs))) return false;
  const [row] = await deps.lifecycle.byIds([lifecycleId]);
  return row?.status === STATUS.succeeded;
}

const withServices = (decky: DeckyConfig) => ({ ...decky, services: [...decky.services] });

export const addDeckyRoutes: AddRoutes = (app, deps) => {
  app.openapi(deploy(deps), async (c) => {
    const body = c.req.valid('json');
    const { deployment_id, mode, lifecycle_ids, removed_lifecycle_ids, warnings } = await accept(deps, {
      username: c.var.user.username,
      request: { ini_content: body.ini_content, replace_fleet: body.replace_fleet },
      options: rolloutWith(deps.rolloutDefaults, rolloutOptions(body)),
      network: await deps.network(),
      idempotency: idempotencyOf(c.req.valid('header')['idempotency-key'], body),
    });
    const answer = {
      message: `Deploy accepted (${lifecycle_ids.length} decky/ies, mode=${mode}). Poll /deckies/lifecycle?ids=... for completion.`,
      mode,
      lifecycle_ids: [...lifecycle_ids],
      ...(removed_lifecycle_ids.length > 0 ? { removed_lifecycle_ids: [...removed_lifecycle_ids] } : {}),
      ...(warnings.length > 0 ? { warnings: [...warnings] } : {}),
    };
    return c.json(answer, 202, {
      'Deckhand-Deployment-Id': deployment_id,
      Location: `${PREFIX}/deployments/${deployment_id}`,
    });
  });

  app.openapi(lifecycle(deps), async (c) => {
    const ids = c.req.valid('query').ids.filter((id) => !id.includes('\0'));
    return c.json({ rows: [...(await deps.lifecycle.byIds(ids))] }, 200);
  });

  app.openapi(list(deps), async (c) => c.json((await deps.fleet.deckies()).map(withServices), 200));

  app.openapi(teardown(deps), async (c) => {
    const { decky_name } = c.req.valid('param');
    await assertInFleet(deps, decky_name);
    const { lifecycle_id } = await deps.deployments.teardown({ username: c.var.user.username, decky_name });
    if (await isDown(deps, lifecycle_id)) return c.body(null, 204);
    return c.json({ lifecycle_ids: [lifecycle_id] }, 202);
  });
};

/**
 * Taking the whole fleet down: ours, since DECNET has only deckies and hosts
 * (docs/wire.md#teardown).
 */

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

/**
 * The body of a deploy: closed, as DECNET's, with rollout options of our own (docs/wire.md#deploy).
 */

const TRUE = ['1', 'on', 't', 'true', 'y', 'yes'];
const FALSE = ['0', 'off', 'f', 'false', 'n', 'no'];

/**
 * What pydantic takes for a bool: true, 1, "yes" and the like in any case; not null, not "banana".
 */
const laxBoolean = z
  .union([z.boolean(), z.literal([0, 1]), z.string()])
  .transform((value) => String(value).toLowerCase())
  .pipe(z.enum([...TRUE, ...FALSE]))
  .transform((word) => TRUE.includes(word));

/**
 * A duration of a body or a query. Whatever stands there is taken here and judged by {@link
 * rolloutOptions}, so that the refusal is a sentence that names the field and its range.
 */
const duration = (name: DurationName, description: string) => {
  const { zero, usual } = DURATIONS[name];
  const range = `${rangeOf(name)}; left out: what the master was started with, else ${durationText(usual)}.`;
  return z
    .unknown()
    .optional()
    .openapi({
      type: 'string',
      pattern: `${zero === null ? '' : '^0$|'}${DURATION_PATTERN.source}`,
      description: `${description} ${range}`,
      example: durationText(usual),
    });
};

export const HostLostAfter = duration(
  'host_lost_after',
  'After how long without a sign of life a host counts as lost.',
);

export const DeployBody = z
  .strictObject({
    ini_content: z
      .string()
      .max(LIMITS.iniCharacters)
      .openapi({ description: 'The fleet as INI; at least one section.', example: '[web-01]\nservices=http,ssh\n' }),
    replace_fleet: laxBoolean.default(false).openapi({
      type: 'boolean',
      default: false,
      description: 'true: the fleet becomes this one, and what it does not name is taken down. false: it is added.',
    }),
    max_parallel: z
      .number()
      .int()
      .min(1)
      .max(LIMITS.deploymentLimitMax)
      .optional()
      .openapi({ description: 'Hosts that are worked on at the same time.' }),
    min_healthy_time: duration(
      'min_healthy_time',
      'How long containers have to stay up; not longer than healthy_deadline.',
    ),
    healthy_deadline: duration('healthy_deadline', 'Until when a decky has to be healthy, from its first container.'),
    progress_deadline: duration('progress_deadline', 'How long nothing may move.'),
    host_lost_after: HostLostAfter,
  })
  .openapi('DeployRequest');

export type DeployBody = z.infer<typeof DeployBody>;

/**
 * Only what the request sets. Throws InvalidParameters for a duration that the table does not have.
 */
export const rolloutOptions = (body: DeployBody): Partial<RolloutOptions> => ({
  ...(body.max_parallel === undefined ? {} : { maxParallel: body.max_parallel }),
  ...parseRollout(body),
});

/** Throws InvalidParameters for a duration that the table does not have. */
export const lostAfter = (value: unknown): Partial<RolloutOptions> => parseRollout({ host_lost_after: value });

/** 1 to 255 printable ASCII characters; HTTP takes spaces off both ends. */
const IDEMPOTENCY_KEY = /^[!-~]([ -~]{0,253}[!-~])?$/;

/** Only described here: {@link assertIdempotencyKey} says in a sentence what is wrong with one. */
export const IdempotencyKey = z
  .string()
  .optional()
  .openapi({ description: 'Kept for 24 hours, per user.', pattern: IDEMPOTENCY_KEY.source });

/** Throws InvalidParameters for a key that a header can't carry. */
export function assertIdempotencyKey(key: string): void {
  if (!IDEMPOTENCY_KEY.test(key))
    throw new DeckhandError('InvalidParameters', 'Idempotency-Key: 1 to 255 printable ASCII characters are needed');
}

/** Printable ASCII, as a header can carry it; null without one. */
export function idempotencyOf(
  key: string | undefined,
  body: DeployBody,
): { readonly key: string; readonly body_hash: string } | null {
  if (key === undefined) return null;
  assertIdempotencyKey(key);
  const fields = Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1));
  return { key, body_hash: createHash('sha256').update(JSON.stringify(fields)).digest('hex') };
}
