/** The event bus: NATS with JetStream, stream DECKHAND_EVENTS over `decky.>`. */
import {
  connect,
  headers,
  type JetStreamClient,
  type MsgHdrs,
  type NatsConnection,
  type NatsError,
  nanos,
  StringCodec,
} from 'nats';
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
      throw busUnavailable(url, error, 'events wait in the outbox.');
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

const LEAST_BYTES = 64 * 1024 ** 2;
/** NATS's codes: no such stream; too little storage of the server or of the account. */
const NO_STREAM = 10_059;
const TOO_LITTLE = new Set([10_002, 10_023, 10_028, 10_047, 10_122]);

const apiCode = (error: unknown): number => (error as NatsError).api_error?.err_code ?? 0;

/** Makes the stream where there is none: a smaller one where NATS has too little room. */
export async function ensureStream(nc: NatsConnection): Promise<void> {
  const manager = await nc.jetstreamManager({ timeout: PUBLISH_TIMEOUT_MS });
  const found = await manager.streams.info(EVENT_STREAM).catch((error: unknown) => {
    if (apiCode(error) === NO_STREAM) return null;
    throw error;
  });
  for (let bytes = STREAM.max_bytes; found === null; bytes /= 2)
    try {
      await manager.streams.add({ ...STREAM, max_bytes: bytes });
      return;
    } catch (error) {
      if (!TOO_LITTLE.has(apiCode(error)) || bytes / 2 < LEAST_BYTES) throw error;
    }
}

/** Why the bus takes no events, in the server's own words where it said some. */
export function busUnavailable(url: string, cause: unknown, rest: string): DeckhandError {
  const { message, code = '', api_error: api } = cause as Partial<NatsError>;
  const at = `NATS at ${withoutCredentials(url)}`;
  const refused = /AUTH|PERMISSION/.test(code);
  if (refused)
    return new DeckhandError(
      'Unavailable',
      `${at} refuses Deckhand: ${message}. Mend NATS_URL or its rights; ${rest}`,
      { cause },
    );
  if (code === '503')
    return new DeckhandError(
      'Unavailable',
      `${at} has no JetStream: ${message}. Start it with JetStream (\`-js\`); ${rest}`,
      { cause },
    );
  if (api)
    return new DeckhandError('Unavailable', `${at} can’t keep events: ${api.description} (${api.err_code}); ${rest}`, {
      cause,
    });
  return new DeckhandError('Unavailable', `${at} can’t be reached; ${rest}`, { cause });
}

export const withoutCredentials = (url: string): string => url.replace(/\/\/[^@/]*@/, '//');
