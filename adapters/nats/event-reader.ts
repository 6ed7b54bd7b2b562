/** One reader of events: a bounded queue between the stream and whoever takes from it. */
import type { StreamedEvent } from './event-log.ts';

/** Events that may wait for a reader; one that is further behind is cut off. */
export const READER_LIMIT = 1_000;
/** Of its backlog, so many are fetched ahead of it. */
const AHEAD = 200;
/** What comes within this time of an event goes out with it: where many read, each write is what costs. */
const GATHER_MS = 100;

export class EventReader {
  readonly #wants: (event: StreamedEvent) => boolean;
  readonly #left: () => void;
  #queue: StreamedEvent[] = [];
  #wake: (() => void) | null = null;
  /** Events that have to wait before whoever takes is woken. */
  #enough = 1;
  #taken: (() => void) | null = null;
  /** Why no more will come; null while it reads. */
  ended: string | null = null;
  /** Set where events that it asked for are gone. */
  gap: string | null = null;

  readonly whenEnded: Promise<void>;
  #settle: () => void = () => undefined;
  /** What comes is later than this sequence. */
  readonly from: number;

  /** `left` is called once, when it ends. */
  constructor(wants: (event: StreamedEvent) => boolean, from: number, left: () => void) {
    this.#wants = wants;
    this.from = from;
    this.#left = left;
    this.whenEnded = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Never waits: a reader whose queue is full ends, and can resume. */
  offer(event: StreamedEvent): void {
    if (this.ended !== null || !this.#wants(event)) return;
    if (this.#queue.length >= READER_LIMIT) {
      this.end(`More than ${READER_LIMIT} events wait for this reader. Connect again with Last-Event-ID to go on.`);
      return;
    }
    this.#put(event);
  }

  /** Waits for room; false once the reader has ended. */
  async give(event: StreamedEvent): Promise<boolean> {
    if (!this.#wants(event)) return this.ended === null;
    while (this.#queue.length >= AHEAD && this.ended === null)
      await new Promise<void>((resolve) => {
        this.#taken = resolve;
      });
    if (this.ended !== null) return false;
    this.#put(event);
    return true;
  }

  /** All that waits; null at the end. Resolves with nothing after `ms`, so that a sign of life can be sent. */
  async take(ms: number): Promise<readonly StreamedEvent[] | null> {
    if (this.#queue.length === 0 && this.ended === null) {
      await this.#somethingWithin(ms, 1);
      if (this.#queue.length > 0 && this.ended === null) await this.#somethingWithin(GATHER_MS, AHEAD);
    }
    const events = this.#queue;
    if (events.length === 0 && this.ended !== null) return null;
    this.#queue = [];
    this.#taken?.();
    return events;
  }

  /** Events after `after` are no more, or never were. */
  missed(after: number, first: number): void {
    this.gap =
      after + 1 < first
        ? `Events ${after + 1} to ${first - 1} are no longer kept; this goes on with ${first}.`
        : `There is no event ${after}: the stream was made anew. This goes on with what comes now.`;
  }

  /** What waits already is still handed out. */
  end(sentence: string): void {
    if (this.ended !== null) return;
    this.ended = sentence;
    this.#left();
    this.#settle();
    this.#wake?.();
    this.#taken?.();
  }

  #put(event: StreamedEvent): void {
    this.#queue.push(event);
    if (this.#queue.length >= this.#enough) this.#wake?.();
  }

  async #somethingWithin(ms: number, enough: number): Promise<void> {
    this.#enough = enough;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#wake = null;
  }
}
