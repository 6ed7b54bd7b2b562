/**
 * How what runs differs from what should, mending it, and deckies that an operator stops
 * (docs/convergence.md).
 */
import { createRoute, z } from '@hono/zod-openapi';
import type { Mendable } from '../../adapters/postgres/drift.ts';
import { INTERVAL_PATTERN } from '../../fleet/durations.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { LOCAL_HOST, OPERATION } from '../../fleet/lifecycle.ts';
import { LIMITS } from '../../fleet/limits.ts';
import type { ReconcileRequest } from '../../fleet/requests.ts';
import { type AddRoutes, guarded, type RouteDependencies } from '../dependencies.ts';
import { checkInterval } from '../errors.ts';
import { EXAMPLES, json, Message, PREFIX, ROW_ID, refusals, unsupportedMediaType } from '../openapi.ts';
import { DeckyName, DriftView, MendableView, UnknownView } from '../schemas.ts';

const HostFilter = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\0]*$/)
  .openapi({ description: 'A host’s uuid or name, or `local`.', example: 'local' });

const drift = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'viewer' }),
    method: 'get',
    path: `${PREFIX}/drift`,
    tags: ['convergence'],
    summary: 'How what runs differs from what should',
    description: 'As last seen: hosts tell with each heartbeat, the master’s own engine is looked at each minute.',
    request: { query: z.object({ decky: DeckyName.optional(), host: HostFilter.optional() }) },
    responses: {
      200: {
        description: 'The drift, and the engines of which nothing is known.',
        content: json(
          z.object({
            drift: z.array(DriftView),
            unknown: z.array(UnknownView),
            reconcile_interval: z.string().nullable().openapi({ description: 'null: it is mended by hand only' }),
          }),
          EXAMPLES.drift,
        ),
      },
      ...refusals(400, 401, 403, 422),
    },
  });

const ReconcileBody = z
  .strictObject({
    dry_run: z.boolean().default(false).openapi({ description: 'Say only what would be done.' }),
    host: HostFilter.nullish(),
    deckies: z
      .array(DeckyName)
      .min(1)
      .max(LIMITS.deploymentLimitMax)
      .nullish()
      .openapi({ description: 'These only; left out: all that drift.' }),
  })
  .openapi('ReconcileRequest');

const mending = { mending: z.array(MendableView), unknown: z.array(UnknownView) };

const reconcile = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: `${PREFIX}/reconcile`,
    tags: ['convergence'],
    summary: 'Bring what drifts back to what it should be',
    description: 'Each decky that drifts gets a row, and is deployed as it is in the fleet; nobody else is touched.',
    request: { body: { required: false, content: json(ReconcileBody, { dry_run: true }) } },
    responses: {
      200: {
        description: 'A dry run, or nothing drifts.',
        content: json(z.object({ message: z.string(), ...mending }), EXAMPLES.nothingDrifts),
      },
      202: {
        description: 'Accepted: a row for each.',
        headers: z.object({ 'Deckhand-Deployment-Id': z.string(), Location: z.string() }),
        content: json(
          z.object({
            message: z.string(),
            deployment_id: z.string(),
            lifecycle_ids: z.array(z.string()),
            removed_lifecycle_ids: z.array(z.string()).optional(),
            ...mending,
          }),
          EXAMPLES.reconcile,
        ),
      },
      ...refusals(400, 401, 403, 404, 409, 422),
      ...unsupportedMediaType,
    },
  });

const setReconcileInterval = (deps: RouteDependencies) =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'put',
    path: `${PREFIX}/config/reconcile-interval`,
    tags: ['config'],
    summary: 'Set how often drift is mended by itself',
    request: {
      body: {
        required: true,
        content: json(
          z.object({
            reconcile_interval: z.string().superRefine(checkInterval).nullable().openapi({
              pattern: INTERVAL_PATTERN.source,
              description: 'm: minutes, d: days, M: months, y or Y: years; null: never',
              example: '5m',
            }),
          }),
          { reconcile_interval: '5m' },
        ),
      },
    },
    responses: {
      200: { description: 'Set.', content: json(Message, { message: 'Reconcile interval updated' }) },
      ...refusals(400, 401, 403, 422),
      ...unsupportedMediaType,
    },
  });

const power = (deps: RouteDependencies, kind: 'stop' | 'start') =>
  createRoute({
    ...guarded(deps, { role: 'admin' }),
    method: 'post',
    path: `${PREFIX}/deckies/{decky_name}/${kind}`,
    tags: ['convergence'],
    summary: kind === 'stop' ? 'Stop a decky, until it is started' : 'Start a decky that was stopped',
    description:
      kind === 'stop'
        ? 'Its containers and its address stay; no deploy of others and no reconcile starts it.'
        : 'It comes up as it is in the fleet.',
    request: { params: z.object({ decky_name: DeckyName }) },
    responses: {
      202: {
        description: 'Accepted: one row, of operation `deploy`.',
        headers: z.object({ 'Deckhand-Deployment-Id': z.string() }),
        content: json(z.object({ lifecycle_ids: z.array(z.string()) }), { lifecycle_ids: [ROW_ID] }),
      },
      ...refusals(401, 403, 404, 409, 422),
    },
  });

const view = ({ decky_name, host_key, orphan, reasons }: Mendable) => ({
  decky_name,
  host_uuid: host_key === LOCAL_HOST ? null : host_key,
  action: orphan ? OPERATION.teardown : OPERATION.deploy,
  reasons: [...reasons],
});

/**
 * Names and hosts that there are not are refused, so that a slip of the pen does not pass for a
 * fleet without drift.
 */
async function requestOf(deps: RouteDependencies, body: z.infer<typeof ReconcileBody>): Promise<ReconcileRequest> {
  const host = body.host ? await deps.drift.hostKey(body.host) : null;
  if (body.host && host === null) throw new DeckhandError('NotFound', `There is no host ${body.host}`);
  const deckies = body.deckies ?? null;
  if (deckies) {
    const known = new Set([
      ...(await deps.fleet.deckies()).map(({ name }) => name),
      ...(await deps.drift.drift({})).map((one) => one.decky_name),
    ]);
    const unknown = deckies.find((name) => !known.has(name));
    if (unknown !== undefined) throw new DeckhandError('NotFound', `Decky ${unknown} not found`);
  }
  return { deckies, host };
}

export const addConvergenceRoutes: AddRoutes = (app, deps) => {
  app.openapi(drift(deps), async (c) => {
    const filter = c.req.valid('query');
    const [found, unknown, reconcile_interval] = await Promise.all([
      deps.drift.drift(filter),
      deps.drift.unknown(filter),
      deps.settings.reconcileInterval(),
    ]);
    return c.json({ drift: found, unknown, reconcile_interval }, 200);
  });

  app.openapi(reconcile(deps), async (c) => {
    const body = c.req.valid('json');
    const request = await requestOf(deps, body);
    if (request.host === null || request.host === LOCAL_HOST) await deps.lookAtEngine();
    const [found, unknown] = await Promise.all([
      deps.drift.mendable(request),
      deps.drift.unknown({ host: request.host ?? undefined }),
    ]);
    const seen = { mending: found.map(view), unknown };
    if (found.length === 0) return c.json({ message: 'Nothing drifts.', ...seen }, 200);
    if (body.dry_run) return c.json({ message: `${found.length} decky/ies would be mended.`, ...seen }, 200);
    const { deployment_id, lifecycle_ids, removed_lifecycle_ids } = await deps.deployments.operate({
      username: c.var.user.username,
      kind: 'reconcile',
      request,
      options: deps.rolloutDefaults,
    });
    const removed = removed_lifecycle_ids.length > 0 ? { removed_lifecycle_ids: [...removed_lifecycle_ids] } : {};
    const message = `Reconcile accepted (${lifecycle_ids.length + removed_lifecycle_ids.length} decky/ies).`;
    const answer = { message, deployment_id, lifecycle_ids: [...lifecycle_ids], ...removed, ...seen };
    return c.json(answer, 202, {
      'Deckhand-Deployment-Id': deployment_id,
      Location: `${PREFIX}/deployments/${deployment_id}`,
    });
  });

  app.openapi(setReconcileInterval(deps), async (c) => {
    await deps.settings.setReconcileInterval(c.req.valid('json').reconcile_interval);
    return c.json({ message: 'Reconcile interval updated' }, 200);
  });

  for (const kind of ['stop', 'start'] as const)
    app.openapi(power(deps, kind), async (c) => {
      const { decky_name } = c.req.valid('param');
      const { deployment_id, lifecycle_ids } = await deps.deployments.operate({
        username: c.var.user.username,
        kind,
        request: { decky_name },
        options: deps.rolloutDefaults,
      });
      return c.json({ lifecycle_ids: [...lifecycle_ids] }, 202, { 'Deckhand-Deployment-Id': deployment_id });
    });
};
