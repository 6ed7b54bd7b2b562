/** Two subscribers of `decky.*.lifecycle`: one that was there all the time (core NATS), and one that comes later (JetStream). */
import { type JsMsg, jetstream } from '@nats-io/jetstream';
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { EVENT_STREAM } from '../../fleet/lifecycle.ts';
import type { SeenEvent } from './judge.ts';

const FETCH_MS = 1_000;
const LARGEST_FETCH = 5_000;

export class EventWatch {
  readonly #connection: NatsConnection;
  readonly #seen: SeenEvent[] = [];

  private constructor(connection: NatsConnection) {
    this.#connection = connection;
    void this.#listen();
  }

  /** Connects again whenever its server comes back. */
  static async open(url: string): Promise<EventWatch> {
    const connection = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    const watch = new EventWatch(connection);
    await connection.flush();
    return watch;
  }

  /** What core NATS delivered so far, repeats included. */
  async seen(): Promise<readonly SeenEvent[]> {
    await this.#connection.flush();
    return this.#seen;
  }

  /** What JetStream holds for these deckies, oldest first; nothing where the stream does not exist yet. */
  async stored(names: readonly string[]): Promise<SeenEvent[]> {
    const filterSubjects = names.map((name) => `decky.${name}.lifecycle`);
    const events: SeenEvent[] = [];
    const consumer = await jetstream(this.#connection).consumers.get(EVENT_STREAM, { filter_subjects: filterSubjects });
    for (;;) {
      const batch = await consumer.fetch({ max_messages: LARGEST_FETCH, expires: FETCH_MS });
      let received = 0;
      for await (const message of batch) {
        events.push(toEvent(message));
        received += 1;
      }
      if (received < LARGEST_FETCH) return events;
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #listen(): Promise<void> {
    for await (const message of this.#connection.subscribe('decky.*.lifecycle')) this.#seen.push(toEvent(message));
  }
}

const toEvent = (message: Msg | JsMsg): SeenEvent => ({
  subject: message.subject,
  messageId: message.headers?.get('Nats-Msg-Id') ?? '',
  status: message.json<{ payload: { status: string } }>().payload.status,
});
