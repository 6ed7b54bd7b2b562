/** The event bus: NATS with JetStream, stream DECKHAND_EVENTS over `decky.>`. */
import { setTimeout as pause } from 'node:timers/promises';
import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { EVENT_STREAM, type EventOrigin, ORIGIN_HEADERS } from '../../fleet/lifecycle.ts';
import type { Publish } from '../postgres/outbox.ts';
import { connectNats } from './connect.ts';
import { busUnavailable, hasNoResponder } from './refusals.ts';
import { checkStream, ensureStream, smallerStream } from './stream.ts';

const CONNECT_TIMEOUT_MS = 2_000;
const PUBLISH_TIMEOUT_MS = 3_000;
/** A frozen server answers neither a drain nor a flush, and the client waits for it without an end. */
const CLOSE_MS = 2_000;

export interface Bus {
  /** Resolves when JetStream has stored the event; throws DeckhandError `Unavailable` when the bus is down, BusRefused when it refuses. */
  readonly publish: Publish;
  /** Resolves when events can be stored; makes the stream where it is gone. Throws as `publish` does. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface BusOptions {
  /** Hears what an operator should know of the stream, once for each connection. */
  readonly notice?: (sentence: string) => void;
}

/** Connects at the first use and again after a loss; a bus that is down costs a caller two or three seconds, never its work. */
export function createBus(url: string, name = 'deckhand', { notice }: BusOptions = {}): Bus {
  let connection: Promise<{ nc: NatsConnection; js: JetStreamClient }> | null = null;

  async function open(): Promise<{ nc: NatsConnection; js: JetStreamClient }> {
    const nc = await connectNats(url, {
      name,
      timeout: CONNECT_TIMEOUT_MS,
      reconnect: false,
      noAsyncTraces: true,
    });
    void nc.closed().then(() => {
      connection = null;
    });
    try {
      const smaller = smallerStream(await ensureStream(nc));
      if (smaller !== null) notice?.(smaller);
    } catch (error) {
      await closed(nc);
      throw error;
    }
    return { nc, js: jetstream(nc, { timeout: PUBLISH_TIMEOUT_MS }) };
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
      throw busUnavailable(url, error, 'events wait in the outbox.');
    }
  }

  /** A connection that was kept says nothing of what became of the server and the stream since. */
  async function ping(): Promise<void> {
    const kept = connection !== null;
    const { nc } = await connected();
    if (!kept) return;
    try {
      await checkStream(nc);
    } catch {
      await closed(nc);
      await connected();
    }
  }

  return {
    publish: ({ messageId, envelope, origin }) =>
      orUnavailable(async () => {
        const { nc, js } = await connected();
        try {
          await js.publish(envelope.topic, JSON.stringify(envelope), {
            msgID: messageId,
            headers: originHeaders(origin),
          });
        } catch (error) {
          // The stream may have been lost with the server's disk: the next attempt opens anew and makes it again.
          await closed(nc);
          throw hasNoResponder(error) ? new Error(`the stream ${EVENT_STREAM} is gone`) : error;
        }
      }),
    ping: () => orUnavailable(ping),
    close: async () => {
      const opened = await connection?.catch(() => null);
      if (!opened) return;
      await atMost(CLOSE_MS, opened.nc.drain());
      await closed(opened.nc);
    },
  };
}

const closed = (nc: NatsConnection): Promise<void> => atMost(CLOSE_MS, nc.close());

/** Waits no longer than that, and minds no failure: for ends, which nobody can do anything about. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const late = new AbortController();
  await Promise.race([work, pause(ms, undefined, { signal: late.signal })]).catch(() => undefined);
  late.abort();
}

function originHeaders(origin: EventOrigin): MsgHdrs {
  const made = headers();
  for (const [key, header] of Object.entries(ORIGIN_HEADERS)) {
    const value = origin[key as keyof EventOrigin];
    if (value !== null) made.set(header, value);
  }
  return made;
}
