/**
 * The figures that a dashboard shows, as server-sent events. DECNET's page has no other source for them.
 * Logs and attackers are none of this master's business: it says zero.
 */
import { setMaxListeners } from 'node:events';
import { createRoute, z } from '@hono/zod-openapi';
import { ownerOf } from '../auth/guard.ts';
import { STREAM_HEADERS, tokenOrTicket, tooManyStreams } from '../auth/streams.ts';
import { figureChunks, sharedFigures } from '../figure-text.ts';
import { PREFIX, refusals } from '../openapi.ts';
import type { AddRoutes, RouteDependencies } from './dependencies.ts';

const FigureEvent = z
  .object({
    event: z.literal('message'),
    data: z.string().openapi({
      description:
        'JSON: `{"type": "stats", "data": {"total_logs", "unique_attackers", "active_deckies", "deployed_deckies"}}`, or `{"type": "histogram", "data": []}`.',
    }),
  })
  .openapi('FigureEvent');

const EXAMPLE = {
  event: 'message',
  data: '{"type":"stats","data":{"total_logs":0,"unique_attackers":0,"active_deckies":3,"deployed_deckies":4}}',
};

const count = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional();
const ignored = z
  .string()
  .max(1_000)
  .optional()
  .openapi({ description: 'Ignored: there are no logs to look through.' });

const stream = (deps: RouteDependencies) =>
  createRoute({
    method: 'get',
    path: `${PREFIX}/stream`,
    tags: ['system'],
    summary: 'Figures for a dashboard, as server-sent events',
    description:
      'At once, and every 10 s. `deployed_deckies`: those that should be; `active_deckies`: those that were seen running. What happens to deckies is told by `/events`.',
    security: [{ bearer: [] }],
    middleware: [tokenOrTicket(deps)] as const,
    request: {
      query: z.object({
        ticket: z.string().max(128).optional(),
        maxOutput: count.openapi({ description: 'The stream ends after so many events.' }),
        lastEventId: count.openapi({ description: 'Ignored: there are no logs to go on with.' }),
        search: ignored,
        start_time: ignored,
        end_time: ignored,
      }),
    },
    responses: {
      200: {
        description: 'Figures until the client goes.',
        content: { 'text/event-stream': { schema: FigureEvent, example: EXAMPLE } },
      },
      ...refusals(400, 401, 403, 422),
      ...tooManyStreams,
    },
  });

export const addDashboardRoutes: AddRoutes = (app, deps) => {
  const figures = sharedFigures(() => deps.fleet.counts());
  // Each open stream listens for the end of the master.
  if (deps.stopping) setMaxListeners(0, deps.stopping);

  app.openapi(stream(deps), async (c) => {
    const { user, claims } = c.var;
    const { maxOutput } = c.req.valid('query');
    // What answers GET answers HEAD too, but nobody reads the stream then, nor ends it.
    if (c.req.method === 'HEAD') return c.body(null, 200, STREAM_HEADERS);
    const left = deps.streams.enter(user.uuid);
    try {
      const first = await figures();
      const allowed = async (): Promise<boolean> => (await ownerOf(deps.users, claims)) !== null;
      const { stopping } = deps;
      const body = figureChunks(first, { figures, allowed, left, most: maxOutput ?? Infinity, stopping });
      return c.body(body, 200, STREAM_HEADERS);
    } catch (error) {
      left();
      throw error;
    }
  });
};
