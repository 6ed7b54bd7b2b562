/**
 * What happens to deckies, as it happens: server-sent events from the stream, resumable. The second
 * part makes their text. `hono/streaming` is not used: past it, many readers cost half
 * (docs/bench.md).
 */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createRoute, z } from '@hono/zod-openapi';
import type { StreamedEvent } from '../../adapters/nats/event-log.ts';
import type { EventReader } from '../../adapters/nats/event-stream.ts';
import { DeckhandError } from '../../fleet/errors.ts';
import { LOCAL_HOST } from '../../fleet/lifecycle.ts';
import { ownerOf, STREAM_HEADERS, tokenOrTicket, tooManyStreams } from '../auth.ts';
import type { AddRoutes, RouteDependencies } from '../dependencies.ts';
import { PREFIX, refusals } from '../openapi.ts';

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

/** Events as the text of a server-sent stream, at the pace of whoever reads it. */

/** A comment goes out when nothing else does, so that both sides notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** How often it is asked whether the reader may still read. */
const CHECK_MS = 60_000;
/** What an ended reader has not taken by then is dropped with its connection. */
const LINGER_MS = 30_000;
/** Milliseconds until a browser connects again. */
const RETRY_MS = 2_000;

/** Each event of the stream: before OpenAPI 3.2, the schema of a stream is that of its events. */
const EventBody = z
  .object({
    id: z.string().optional().openapi({ description: 'The sequence of the stream, to be sent as `Last-Event-ID`.' }),
    event: z.enum(['lifecycle', 'mutation', 'drift', 'warning', 'gap', 'end']).optional(),
    data: z.string().optional().openapi({
      description:
        'JSON: the envelope as it is on the bus, with `decky_name`, `deployment_id` and `host_uuid`; of `gap` and `end`, `{"detail"}`.',
    }),
    retry: z.number().optional(),
  })
  .openapi('Event');
const EVENT_EXAMPLE = {
  id: '7',
  event: 'lifecycle',
  data: '{"v":1,"id":"0f3c","topic":"decky.web-01.lifecycle","type":"lifecycle","ts":1764000000.5,"payload":{"lifecycle_id":"4f6c","operation":"deploy","status":"running"},"decky_name":"web-01","deployment_id":"9a1b","host_uuid":null}',
};

/** Made once for all readers of an event. */
const encoded = new WeakMap<StreamedEvent, Buffer>();

function bytesOf(event: StreamedEvent): Buffer {
  const known = encoded.get(event);
  if (known !== undefined) return known;
  const { deckyName, deploymentId, hostUuid } = event.origin;
  const data = { ...event.envelope, decky_name: deckyName, deployment_id: deploymentId, host_uuid: hostUuid };
  const bytes = Buffer.from(`id: ${event.sequence}\nevent: ${event.envelope.type}\ndata: ${JSON.stringify(data)}\n\n`);
  encoded.set(event, bytes);
  return bytes;
}

/** What goes out in one write, and the same as a chunk of HTTP/1.1. */
interface Batch {
  readonly bytes: Buffer;
  readonly chunk: Buffer;
}

const batchOf = (bytes: Buffer): Batch => ({
  bytes,
  chunk: Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]),
});

/**
 * Readers of one filter take the same events at the same moment: what was put together for one
 * serves the next.
 */
let lastEvents: readonly StreamedEvent[] = [];
let lastBatch = batchOf(Buffer.alloc(0));

function batchOfAll(events: readonly StreamedEvent[]): Batch {
  const same = lastEvents.length === events.length && lastEvents.every((event, index) => event === events[index]);
  if (!same) lastBatch = batchOf(Buffer.concat(events.map(bytesOf)));
  lastEvents = events;
  return lastBatch;
}

const note = (event: 'gap' | 'end', detail: string): string =>
  `event: ${event}\ndata: ${JSON.stringify({ detail })}\n\n`;

const STILL_HERE = batchOf(Buffer.from(': still here\n\n'));

interface ReaderHooks {
  /** Whether the reader may still read. */
  readonly allowed: () => Promise<boolean>;
  /** Called once, when the stream is over. */
  readonly left: () => void;
  /** What the answer goes out by; none where the request was made in process. */
  readonly outgoing: ServerResponse | undefined;
}

/** Settles when there is room for more, or nobody to write to. */
function roomIn(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      socket.off('drain', settle).off('close', settle);
      resolve();
    };
    socket.on('drain', settle).on('close', settle);
  });
}

/**
 * The stream begins and ends the answer. What comes between is written to the connection as soon as
 * the answer has it for itself: it is the same for many, and by way of web stream and answer each
 * write costs about twice as much.
 */
export function eventChunks(reader: EventReader, { allowed, left, outgoing }: ReaderHooks): ReadableStream<Uint8Array> {
  const check = setInterval(async () => {
    if (!(await allowed().catch(() => true))) reader.end('Your token no longer counts. Log in and connect again.');
  }, CHECK_MS);
  let linger: NodeJS.Timeout | undefined;
  void reader.whenEnded.then(() => {
    clearInterval(check);
    linger = setTimeout(() => outgoing?.destroy(), LINGER_MS);
    linger.unref();
  });
  const over = (): void => {
    reader.end('The client left.');
    // A microtask later, the timer is there.
    void reader.whenEnded.then(() => clearTimeout(linger));
    left();
  };
  // An id without data: whoever leaves before the first event can resume too.
  const opening = `retry: ${RETRY_MS}\nid: ${reader.from}\n\n${reader.gap === null ? '' : note('gap', reader.gap)}`;
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(Buffer.from(opening)),
      async pull(controller) {
        for (;;) {
          const events = await reader.take(HEARTBEAT_MS);
          if (events === null) {
            controller.enqueue(Buffer.from(note('end', reader.ended ?? '')));
            controller.close();
            over();
            return;
          }
          const batch = events.length === 0 ? STILL_HERE : batchOfAll(events);
          const socket = outgoing?.headersSent ? outgoing.socket : null;
          if (!socket || socket.destroyed) return controller.enqueue(batch.bytes);
          if (!socket.write(outgoing?.chunkedEncoding ? batch.chunk : batch.bytes)) await roomIn(socket);
        }
      },
      cancel: over,
    },
    { highWaterMark: 0 },
  );
}
