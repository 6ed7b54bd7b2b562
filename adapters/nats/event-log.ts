/** Reads the stream of events in order, from any sequence on, by ordered consumers of JetStream. */
import { type ConsumerMessages, connect, DeliverPolicy, type JsMsg, type NatsConnection, type StreamState } from 'nats';
import { DeckhandError } from '../../fleet/errors.ts';
import { type Envelope, EVENT_STREAM, type EventOrigin, ORIGIN_HEADERS } from '../../fleet/subjects.ts';
import { ensureStream, withoutCredentials } from './bus.ts';

export interface StreamedEvent {
  /** Of the stream: grows with each event, and is never given twice. */
  readonly sequence: number;
  readonly origin: EventOrigin;
  readonly envelope: Envelope;
}

export interface EventLog {
  /** The stream's first and last sequence; a stream without events has a first one that is not there yet. */
  bounds(): Promise<{ first: number; last: number }>;
  size(): Promise<{ events: number; bytes: number }>;
  /** All that comes after `after`, for as long as the connection lives and `signal` is not aborted. Throws what the bus's client does. */
  follow(after: number, signal: AbortSignal): AsyncGenerator<StreamedEvent>;
  /** What is stored after `after` and up to `until`, oldest first. */
  between(after: number, until: number): AsyncGenerator<StreamedEvent>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 2_000;
/** A bus that takes connections and answers nothing is waited for this long. */
const ANSWER_MS = 3_000;
const PING_MS = 10_000;
const PAGE = 500;
/** A page that is not full is waited for no longer. */
const PAGE_WAIT_MS = 1_000;

/** Connects at the first use, and anew after a loss. Throws Unavailable where the bus is out of reach or does not answer. */
export function createEventLog(url: string, name: string): EventLog {
  let connection: Promise<NatsConnection> | null = null;

  async function open(): Promise<NatsConnection> {
    const options = { servers: url, name, timeout: CONNECT_TIMEOUT_MS, reconnect: false, pingInterval: PING_MS };
    const nc = await connect(options);
    void nc.closed().then(() => {
      connection = null;
    });
    try {
      await ensureStream(nc);
    } catch (error) {
      await nc.close();
      throw error;
    }
    return nc;
  }

  async function connected(): Promise<NatsConnection> {
    connection ??= open().catch((error: unknown) => {
      connection = null;
      throw error;
    });
    return connection;
  }

  function unavailable(error: unknown): DeckhandError {
    const sentence = `NATS at ${withoutCredentials(url)} can’t be reached; events wait until it is back.`;
    return new DeckhandError('Unavailable', sentence, { cause: error });
  }

  async function streamState(): Promise<StreamState> {
    try {
      const manager = await (await connected()).jetstreamManager({ timeout: ANSWER_MS });
      return (await manager.streams.info(EVENT_STREAM)).state;
    } catch (error) {
      throw unavailable(error);
    }
  }

  const consumerAfter = async (nc: NatsConnection, after: number) =>
    nc.jetstream().consumers.get(EVENT_STREAM, {
      // So that a look at the server tells whose consumers are there.
      name_prefix: name.replace(/\W/g, '_'),
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
    });

  return {
    async bounds() {
      const state = await streamState();
      return { first: state.first_seq, last: state.last_seq };
    },
    async size() {
      const state = await streamState();
      return { events: state.messages, bytes: state.bytes };
    },
    async *follow(after, signal) {
      const nc = await connected();
      const messages = await (await consumerAfter(nc, after)).consume();
      void nc.closed().then(() => messages.close());
      signal.addEventListener('abort', () => void messages.close(), { once: true });
      for await (const message of messages) yield toEvent(message);
    },
    async *between(after, until) {
      try {
        for (let position = after; position < until; ) {
          const consumer = await consumerAfter(await connected(), position);
          try {
            const messages = await consumer.fetch({ max_messages: PAGE, expires: PAGE_WAIT_MS });
            position = yield* page(messages, position, until);
          } finally {
            // The server would keep it for minutes.
            await consumer.delete().catch(() => undefined);
          }
        }
      } catch (error) {
        throw unavailable(error);
      }
    },
    async close() {
      const nc = await connection?.catch(() => null);
      await nc?.close();
    },
  };
}

/** Returns how far it read: `until` when nothing more is stored. */
async function* page(
  messages: ConsumerMessages,
  position: number,
  until: number,
): AsyncGenerator<StreamedEvent, number> {
  let last = position;
  for await (const message of messages) {
    if (message.seq > until) return until;
    last = message.seq;
    yield toEvent(message);
    if (message.seq === until || message.info.pending === 0) return until;
  }
  return last === position ? until : last;
}

function toEvent(message: JsMsg): StreamedEvent {
  const header = (name: string): string | null => message.headers?.get(name) || null;
  return {
    sequence: message.seq,
    envelope: message.json<Envelope>(),
    origin: {
      deckyName: header(ORIGIN_HEADERS.deckyName) ?? message.subject.split('.')[1] ?? '',
      deploymentId: header(ORIGIN_HEADERS.deploymentId),
      hostUuid: header(ORIGIN_HEADERS.hostUuid),
    },
  };
}
