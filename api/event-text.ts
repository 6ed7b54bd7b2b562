/** Events as the text of a server-sent stream, at the pace of whoever reads it. */
import { z } from '@hono/zod-openapi';
import type { StreamedEvent } from '../adapters/nats/event-log.ts';
import type { EventReader } from '../adapters/nats/event-reader.ts';

/** A comment goes out when nothing else does, so that both sides notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** How often it is looked whether the reader may still read. */
const CHECK_MS = 60_000;
/** What an ended reader has not taken by then is dropped with its connection. */
const LINGER_MS = 30_000;
/** Milliseconds until a browser connects again. */
const RETRY_MS = 2_000;

/** Each event of the stream: before OpenAPI 3.2, the schema of a stream is that of its events. */
export const EventBody = z
  .object({
    id: z.string().optional().openapi({ description: 'The sequence of the stream, to be sent as `Last-Event-ID`.' }),
    event: z.enum(['lifecycle', 'mutation', 'drift', 'gap', 'end']).optional(),
    data: z.string().optional().openapi({
      description:
        'JSON: the envelope as it is on the bus, with `decky_name`, `deployment_id` and `host_uuid`; of `gap` and `end`, `{"detail"}`.',
    }),
    retry: z.number().optional(),
  })
  .openapi('Event');
export const EVENT_EXAMPLE = {
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

/** Readers of one filter take the same events at the same moment: what was put together for one serves the next. */
let lastBatch: { readonly events: readonly StreamedEvent[]; readonly bytes: Buffer } = {
  events: [],
  bytes: Buffer.alloc(0),
};

function bytesOfAll(events: readonly StreamedEvent[]): Buffer {
  const { events: last } = lastBatch;
  const same = last.length === events.length && last.every((event, index) => event === events[index]);
  if (!same) lastBatch = { events, bytes: Buffer.concat(events.map(bytesOf)) };
  return lastBatch.bytes;
}

const note = (event: 'gap' | 'end', detail: string): string =>
  `event: ${event}\ndata: ${JSON.stringify({ detail })}\n\n`;

export interface ReaderHooks {
  /** Whether the reader may still read. */
  readonly allowed: () => Promise<boolean>;
  /** Called once, when the stream is over. */
  readonly left: () => void;
  /** Drops the connection of a client that takes nothing. */
  readonly cut: () => void;
}

export function eventChunks(reader: EventReader, { allowed, left, cut }: ReaderHooks): ReadableStream<Uint8Array> {
  const check = setInterval(async () => {
    if (!(await allowed().catch(() => true))) reader.end('Your token no longer counts. Log in and connect again.');
  }, CHECK_MS);
  let linger: NodeJS.Timeout | undefined;
  void reader.whenEnded.then(() => {
    clearInterval(check);
    linger = setTimeout(cut, LINGER_MS);
    linger.unref();
  });
  const over = (): void => {
    reader.end('The client left.');
    // A microtask later, the timer is there.
    void reader.whenEnded.then(() => clearTimeout(linger));
    left();
  };
  // An id without data: whoever leaves before the first event can resume too.
  let opening = `retry: ${RETRY_MS}\nid: ${reader.from}\n\n${reader.gap === null ? '' : note('gap', reader.gap)}`;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const events = opening === '' ? await reader.take(HEARTBEAT_MS) : [];
        const silent = opening === '' && events?.length === 0;
        const text = events === null ? note('end', reader.ended ?? '') : silent ? ': still here\n\n' : opening;
        opening = '';
        controller.enqueue(text === '' ? bytesOfAll(events ?? []) : Buffer.from(text));
        if (events !== null) return;
        controller.close();
        over();
      },
      cancel: over,
    },
    { highWaterMark: 0 },
  );
}
