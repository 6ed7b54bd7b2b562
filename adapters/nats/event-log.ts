/** Reads the stream of events in order, from any sequence on, by ordered consumers of JetStream. */
import {
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
  type StreamInfo,
} from '@nats-io/jetstream';
import { type NatsConnection, nuid } from '@nats-io/transport-node';
import type { DeckhandError } from '../../fleet/errors.ts';
import {
  type Envelope,
  EVENT_STREAM,
  EVENT_SUBJECTS,
  type EventOrigin,
  ORIGIN_HEADERS,
} from '../../fleet/lifecycle.ts';
import { atMost } from './bus.ts';
import { busUnavailable, connectNats, ensureStream } from './stream.ts';

export interface StreamedEvent {
  /** Grows with each event, and is never given twice: also where the stream was made anew, and NATS counts from 1 again. */
  readonly sequence: number;
  readonly origin: EventOrigin;
  readonly envelope: Envelope;
}

export interface EventLog {
  /** Its first and last sequence; a stream without events has a first one that is not there yet. `begin`: just before all of them. */
  bounds(): Promise<{ first: number; last: number; begin?: number }>;
  size(): Promise<{ events: number; bytes: number }>;
  /** All that comes after `after`, for as long as the connection lives and `signal` is not aborted. Throws what the bus's client does. */
  follow(after: number, signal: AbortSignal): AsyncGenerator<StreamedEvent>;
  /** What is stored after `after` and up to `until`, oldest first. */
  between(after: number, until: number): AsyncGenerator<StreamedEvent>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 2_000;
const CLOSE_MS = 2_000;
/** A bus that takes connections and answers nothing is waited for this long. */
const ANSWER_MS = 3_000;
const PING_MS = 10_000;
const PAGE = 500;
/** NATS has said that there is something when a page is asked for: it is waited for this long. */
const PAGE_WAIT_MS = 10_000;
/** How often it is looked whether the stream that is followed is still the same one. */
const SAME_STREAM_MS = 5_000;

/**
 * Added to NATS's own sequences: the time of the stream's creation in microseconds since 1970. A later stream begins above all that an earlier one
 * gave, so that who resumes there is told of the gap. Stays a safe integer until the year 2255.
 */
const baseOf = ({ created }: Pick<StreamInfo, 'created'>): number => Date.parse(created) * 1_000;

/** Connects at the first use, and anew after a loss. Throws Unavailable where the bus is out of reach or does not answer. */
export function createEventLog(url: string, name: string): EventLog {
  let connection: Promise<NatsConnection> | null = null;

  async function open(): Promise<NatsConnection> {
    const options = { name, timeout: CONNECT_TIMEOUT_MS, reconnect: false, pingInterval: PING_MS };
    const nc = await connectNats(url, options);
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

  const unavailable = (error: unknown): DeckhandError => busUnavailable(url, error, 'events wait until it is back.');

  const managerOf = (nc: NatsConnection) => jetstreamManager(nc, { timeout: ANSWER_MS, checkAPI: false });

  async function streamInfo(): Promise<StreamInfo> {
    const nc = await connected();
    try {
      return await (await managerOf(nc)).streams.info(EVENT_STREAM);
    } catch (error) {
      // A stream that is gone is made anew with the next connection.
      await nc.close();
      throw error;
    }
  }

  async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** NATS's word on what comes next; null where nothing is stored at or after the sequence. */
  async function storedFrom(sequence: number): Promise<number | null> {
    const manager = await managerOf(await connected());
    // The server's own field; the client's types have it for direct requests only.
    const query = { seq: sequence, next_by_subj: EVENT_SUBJECTS };
    return (await manager.streams.getMessage(EVENT_STREAM, query))?.seq ?? null;
  }

  const consumerAfter = async (nc: NatsConnection, after: number) =>
    jetstream(nc).consumers.get(EVENT_STREAM, {
      // The prefix tells an operator whose consumers are there. The client makes each name of it by a count from 1,
      // so without an id the second consumer would be the first one, at the place where that stood.
      name_prefix: `${name.replace(/\W/g, '_')}_${nuid.next()}`,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
    });

  return {
    async bounds() {
      const info = await orUnavailable(streamInfo);
      const base = baseOf(info);
      return { first: base + info.state.first_seq, last: base + info.state.last_seq, begin: base };
    },
    async size() {
      const { state } = await orUnavailable(streamInfo);
      return { events: state.messages, bytes: state.bytes };
    },
    async *follow(after, signal) {
      const base = baseOf(await streamInfo());
      const nc = await connected();
      const messages = await (await consumerAfter(nc, Math.max(0, after - base))).consume();
      const stop = (): void => void messages.close();
      void nc.closed().then(stop);
      signal.addEventListener('abort', stop, { once: true });
      const looking = setInterval(() => {
        streamInfo().then((info) => baseOf(info) === base || stop(), stop);
      }, SAME_STREAM_MS);
      try {
        for await (const message of messages) yield toEvent(message, base);
      } finally {
        clearInterval(looking);
        signal.removeEventListener('abort', stop);
      }
    },
    async *between(after, until) {
      try {
        const base = baseOf(await streamInfo());
        const last = until - base;
        for (let position = Math.max(0, after - base); position < last; ) {
          const next = await storedFrom(position + 1);
          if (next === null || next > last) return;
          const consumer = await consumerAfter(await connected(), next - 1);
          try {
            const messages = await consumer.fetch({ max_messages: PAGE, expires: PAGE_WAIT_MS });
            const read = yield* page(messages, next - 1, last, base);
            if (read < next) throw new Error('NATS did not deliver what it has stored');
            position = read;
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
      if (nc) await atMost(CLOSE_MS, nc.close());
    },
  };
}

/** Returns how far it read. An early end says nothing of what is stored: the next page is asked for then. */
async function* page(
  messages: ConsumerMessages,
  position: number,
  until: number,
  base: number,
): AsyncGenerator<StreamedEvent, number> {
  let last = position;
  for await (const message of messages) {
    if (message.seq > until) return until;
    last = message.seq;
    yield toEvent(message, base);
    if (message.seq === until || message.info.pending === 0) return last;
  }
  return last;
}

function toEvent(message: JsMsg, base: number): StreamedEvent {
  const header = (name: string): string | null => message.headers?.get(name) || null;
  return {
    sequence: base + message.seq,
    envelope: message.json<Envelope>(),
    origin: {
      deckyName: header(ORIGIN_HEADERS.deckyName) ?? message.subject.split('.')[1] ?? '',
      deploymentId: header(ORIGIN_HEADERS.deploymentId),
      hostUuid: header(ORIGIN_HEADERS.hostUuid),
    },
  };
}
