/** The event bus: NATS with JetStream, stream DECKHAND_EVENTS over `decky.>`. */
import { connect, headers, type JetStreamClient, type MsgHdrs, type NatsConnection, nanos, StringCodec } from 'nats';
import { DeckhandError } from '../../fleet/errors.ts';
import { EVENT_STREAM, EVENT_SUBJECTS, type EventOrigin, ORIGIN_HEADERS } from '../../fleet/subjects.ts';
import type { Publish } from '../postgres/outbox.ts';

const HOUR_MS = 3_600_000;
/** Kept: 7 days or 1 GiB; repeats of a message id are dropped for 24 h (design, sections 4.8 and 7). */
const STREAM = {
  name: EVENT_STREAM,
  subjects: [EVENT_SUBJECTS],
  max_age: nanos(7 * 24 * HOUR_MS),
  max_bytes: 1024 ** 3,
  duplicate_window: nanos(24 * HOUR_MS),
};
const CONNECT_TIMEOUT_MS = 2_000;
const PUBLISH_TIMEOUT_MS = 3_000;

export interface Bus {
  /** Resolves when JetStream has stored the event; throws DeckhandError `Unavailable` when the bus is down. */
  readonly publish: Publish;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Connects at the first use and again after a loss; a bus that is down costs a caller two or three seconds, never its work. */
export function createBus(url: string, name = 'deckhand'): Bus {
  const codec = StringCodec();
  let connection: Promise<{ nc: NatsConnection; js: JetStreamClient }> | null = null;

  async function open(): Promise<{ nc: NatsConnection; js: JetStreamClient }> {
    const nc = await connect({
      servers: url,
      name,
      timeout: CONNECT_TIMEOUT_MS,
      reconnect: false,
      noAsyncTraces: true,
    });
    void nc.closed().then(() => {
      connection = null;
    });
    try {
      await ensureStream(nc);
    } catch (error) {
      await nc.close();
      throw error;
    }
    return { nc, js: nc.jetstream({ timeout: PUBLISH_TIMEOUT_MS }) };
  }

  async function connected(): Promise<{ nc: NatsConnection; js: JetStreamClient }> {
    connection ??= open().catch((error: unknown) => {
      connection = null;
      throw error;
    });
    return connection;
  }

  async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw new DeckhandError(
        'Unavailable',
        `NATS at ${withoutCredentials(url)} can’t be reached; events wait in the outbox.`,
        { cause: error },
      );
    }
  }

  return {
    publish: ({ messageId, envelope, origin }) =>
      orUnavailable(async () => {
        const { nc, js } = await connected();
        try {
          await js.publish(envelope.topic, codec.encode(JSON.stringify(envelope)), {
            msgID: messageId,
            headers: originHeaders(origin),
          });
        } catch (error) {
          // The stream may have been lost with the server's disk: the next attempt opens anew and makes it again.
          await nc.close();
          throw error;
        }
      }),
    ping: () => orUnavailable(async () => void (await (await connected()).nc.flush())),
    close: async () => {
      const open = await connection?.catch(() => null);
      await open?.nc.drain();
    },
  };
}

function originHeaders(origin: EventOrigin): MsgHdrs {
  const made = headers();
  for (const [key, header] of Object.entries(ORIGIN_HEADERS)) {
    const value = origin[key as keyof EventOrigin];
    if (value !== null) made.set(header, value);
  }
  return made;
}

/** Makes the stream where there is none. */
export async function ensureStream(nc: NatsConnection): Promise<void> {
  const manager = await nc.jetstreamManager({ timeout: PUBLISH_TIMEOUT_MS });
  try {
    await manager.streams.info(EVENT_STREAM);
  } catch {
    await manager.streams.add(STREAM);
  }
}

export const withoutCredentials = (url: string): string => url.replace(/\/\/[^@/]*@/, '//');
