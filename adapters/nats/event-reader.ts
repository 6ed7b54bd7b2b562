/** One reader of events: a bounded queue between the stream and whoever takes from it. */
import type { StreamedEvent } from './event-log.ts';

/** Events that may wait for a reader; one that is further behind is cut off. */
export const READER_LIMIT = 1_000;
/** What it missed is handed to it in batches of so many, as soon as fewer wait. */
export const AHEAD = 200;

export class EventReader {
  readonly #wants: (event: StreamedEvent) => boolean;
  readonly #left: () => void;
  #queue: readonly StreamedEvent[] = [];
  #wake: (() => void) | null = null;
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

  /** Events that wait for it. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Never waits: a reader whose queue is full ends, and can resume. */
  offer(events: readonly StreamedEvent[]): void {
    const wanted = events.filter(this.#wants);
    if (this.ended !== null || wanted.length === 0) return;
    const room = READER_LIMIT - this.#queue.length;
    this.#put(wanted.slice(0, room));
    if (wanted.length > room)
      this.end(`More than ${READER_LIMIT} events wait for this reader. Connect again with Last-Event-ID to go on.`);
  }

  /** Waits for room; false once the reader has ended. */
  async give(events: readonly StreamedEvent[]): Promise<boolean> {
    const wanted = events.filter(this.#wants);
    while (this.#queue.length >= AHEAD && this.ended === null)
      await new Promise<void>((resolve) => {
        this.#taken = resolve;
      });
    if (this.ended !== null) return false;
    this.#put(wanted);
    return true;
  }

  /** All that waits; null at the end. Resolves with nothing after `ms`, so that a sign of life can be sent. */
  async take(ms: number): Promise<readonly StreamedEvent[] | null> {
    if (this.#queue.length === 0 && this.ended === null) await this.#somethingWithin(ms);
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

  #put(events: readonly StreamedEvent[]): void {
    if (events.length === 0) return;
    this.#queue = this.#queue.length === 0 ? events : this.#queue.concat(events);
    this.#wake?.();
  }

  async #somethingWithin(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#wake = null;
  }
}
