/** What happens to deckies, as it happens: server-sent events from the stream, resumable. */
import { createRoute, z } from '@hono/zod-openapi';
import type { StreamedEvent } from '../../adapters/nats/event-log.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { LOCAL_HOST } from '../../fleet/lifecycle.ts';
import { ownerOf } from '../auth/guard.ts';
import { STREAM_HEADERS, tokenOrTicket, tooManyStreams } from '../auth/streams.ts';
import { EVENT_EXAMPLE, EventBody, eventChunks } from '../event-text.ts';
import { PREFIX, refusals } from '../openapi.ts';
import type { AddRoutes, RouteDependencies } from './dependencies.ts';

const sequence = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional();

const events = (deps: RouteDependencies) =>
  createRoute({
    method: 'get',
    path: `${PREFIX}/events`,
    tags: ['deployments'],
    summary: 'What happens to deckies, as server-sent events',
    description:
      'Each has the sequence of the stream as its id: send it back as `Last-Event-ID` and none is missed or repeated. `gap`: events asked for are no longer kept. `end`: the master ends the stream, and says why. With a ticket of `/auth/sse-ticket` in place of a token for browsers.',
    security: [{ bearer: [] }],
    middleware: [tokenOrTicket(deps)] as const,
    request: {
      headers: z.object({ 'last-event-id': sequence }),
      query: z.object({
        ticket: z.string().max(128).optional(),
        last_event_id: sequence.openapi({
          description: 'As the header, for a browser that connects with a new ticket.',
        }),
        decky: z.string().max(128).optional(),
        host: z.string().max(64).optional().openapi({ description: '`local`: the master’s own engine.' }),
        deployment: z.string().max(64).optional(),
      }),
    },
    responses: {
      200: {
        description: 'Events until the client goes.',
        content: { 'text/event-stream': { schema: EventBody, example: EVENT_EXAMPLE } },
      },
      ...refusals(400, 401, 403, 422),
      ...tooManyStreams,
    },
  });

interface Filter {
  readonly decky?: string | undefined;
  readonly host?: string | undefined;
  readonly deployment?: string | undefined;
}

const wanted =
  ({ decky, host, deployment }: Filter) =>
  ({ origin }: StreamedEvent): boolean =>
    (decky === undefined || origin.deckyName === decky) &&
    (host === undefined || (origin.hostUuid ?? LOCAL_HOST) === host) &&
    (deployment === undefined || origin.deploymentId === deployment);

export const addEventRoutes: AddRoutes = (app, deps) => {
  app.openapi(events(deps), async (c) => {
    if (!deps.events) throw new DeckhandError('Unavailable', 'This master has no event bus.');
    const { user, claims } = c.var;
    const { last_event_id, ticket: _, ...filter } = c.req.valid('query');
    // What answers GET answers HEAD too, but nobody reads the stream then, nor ends it.
    if (c.req.method === 'HEAD') return c.body(null, 200, STREAM_HEADERS);
    const left = deps.streams.enter(user.uuid);
    const after = c.req.valid('header')['last-event-id'] ?? last_event_id ?? null;
    try {
      const reader = await deps.events.read({ after, wants: wanted(filter) });
      const allowed = async (): Promise<boolean> => (await ownerOf(deps.users, claims)) !== null;
      const body = eventChunks(reader, { allowed, left, outgoing: c.env?.outgoing });
      return c.body(body, 200, STREAM_HEADERS);
    } catch (error) {
      left();
      throw error;
    }
  });
};
