/** The event bus: NATS with JetStream, stream DECKHAND_EVENTS over `decky.>`; and, below, whether it can store events. */
import { setTimeout as pause } from 'node:timers/promises';
import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { EVENT_STREAM, type EventOrigin, ORIGIN_HEADERS } from '../../fleet/lifecycle.ts';
import type { Publish } from '../postgres/outbox.ts';
import {
  BusRefused,
  busUnavailable,
  checkStream,
  connectNats,
  ensureStream,
  hasNoResponder,
  smallerStream,
  tryStream,
} from './stream.ts';

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

// Whether events can be stored: for /readyz, `npm start` and `doctor`.

/** Shorter than what asks for readiness waits. */
const PROBE_MS = 1_500;

export interface Degraded {
  readonly degraded: string;
}

/**
 * Rejects with NATS's own words where it refuses, which only an operator can mend. A bus that is away makes nobody wait and
 * comes back by itself: that is told as `degraded`.
 */
export async function probeBus(bus: Pick<Bus, 'ping'>): Promise<Degraded | undefined> {
  const asked = bus.ping().then(
    () => undefined,
    (error: Error) => {
      if (error instanceof BusRefused) throw error;
      return { degraded: `unreachable: ${error.message}` };
    },
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Degraded>((resolve) => {
    const degraded = `unreachable: no answer within ${PROBE_MS / 1000} s; events wait in the outbox.`;
    timer = setTimeout(() => resolve({ degraded }), PROBE_MS);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
    asked.catch(() => undefined);
  }
}

/** What `tryStream` finds over a connection of its own. Throws as the bus does. */
export async function inspectBus(url: string): Promise<{ exists: boolean; smaller: string | null }> {
  try {
    const nc = await connectNats(url, { name: 'deckhand-inspect', reconnect: false, timeout: 2_000 });
    try {
      const { exists, config } = await tryStream(nc);
      return { exists, smaller: smallerStream(config) };
    } finally {
      await atMost(2_000, nc.close());
    }
  } catch (error) {
    throw busUnavailable(url, error, 'events wait until then.');
  }
}
