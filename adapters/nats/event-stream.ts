/**
 * Events for many readers. The process has one consumer, which fans out. Who resumes reads what it missed by a consumer of
 * its own, and joins the others at the event where it has caught up, so that none is missed and none comes twice.
 *
 * - EventReader: one reader, a bounded queue between the stream and whoever takes from it
 * - EventStream: the one consumer, and all readers
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { EventLog, StreamedEvent } from './event-log.ts';

/** Events that may wait for a reader; one that is further behind is cut off. */
export const READER_LIMIT = 1_000;
/** What it missed is handed to it in batches of so many, as soon as fewer wait. */
const AHEAD = 200;

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

export interface EventStream {
  /** Begins after the sequence `after`, or, without one, with what comes now. Throws Unavailable. */
  read(options: {
    readonly after: number | null;
    readonly wants: (event: StreamedEvent) => boolean;
  }): Promise<EventReader>;
  /** Ends all readers with the sentence. */
  close(sentence: string): Promise<void>;
}

const RETRY_MS = 500;
const LONGEST_RETRY_MS = 5_000;
/** What comes within this time of an event goes to the readers with it: where many read, each write is what costs. */
const GATHER_MS = 100;
/** So many don't wait for more. */
const GATHER_EVENTS = 200;

interface Progress {
  /** The sequence up to which it has all. */
  has: number;
  /** It gets what comes. */
  caughtUp: boolean;
}

export function createEventStream(log: EventLog): EventStream {
  const readers = new Map<EventReader, Progress>();
  const stopping = new AbortController();
  /** Of the last event that went to the readers. */
  let position = 0;
  /** Later ones, which go to them together. */
  let gathered: StreamedEvent[] = [];
  let gathering: NodeJS.Timeout | undefined;
  let started: Promise<void> | null = null;
  let running: Promise<void> = Promise.resolve();

  function gather(event: StreamedEvent): void {
    if (event.sequence <= (gathered.at(-1)?.sequence ?? position)) return;
    gathered.push(event);
    if (gathered.length >= GATHER_EVENTS) handOut();
    else gathering ??= setTimeout(handOut, GATHER_MS);
  }

  function handOut(): void {
    clearTimeout(gathering);
    gathering = undefined;
    const [events, handedOut] = [gathered, position];
    gathered = [];
    position = events.at(-1)?.sequence ?? position;
    for (const [reader, progress] of readers) {
      if (!progress.caughtUp) continue;
      // Who comes from another API may be further than this one.
      reader.offer(progress.has <= handedOut ? events : events.filter(({ sequence }) => sequence > progress.has));
      progress.has = Math.max(progress.has, position);
    }
  }

  /** The stream was made anew, and counts from its beginning. */
  function beginAnew(): void {
    position = 0;
    for (const progress of readers.values()) progress.has = 0;
  }

  /** After a loss it goes on where it was. */
  async function run(): Promise<void> {
    let wait = RETRY_MS;
    while (!stopping.signal.aborted) {
      try {
        const { last } = await log.bounds();
        handOut();
        if (last < position) beginAnew();
        for await (const event of log.follow(position, stopping.signal)) {
          gather(event);
          wait = RETRY_MS;
        }
      } catch {
        // The bus is out of reach; readers stay connected, and get all of it later.
      }
      await pause(wait, undefined, { signal: stopping.signal }).catch(() => undefined);
      wait = Math.min(wait * 2, LONGEST_RETRY_MS);
    }
  }

  /** The position is known before the first reader is. */
  async function start(): Promise<void> {
    position = (await log.bounds()).last;
    running = run();
  }

  async function catchUp(reader: EventReader, progress: Progress): Promise<void> {
    // Nothing is awaited between the last look at the position and joining.
    while (progress.has < position && !reader.ended) {
      const until = position;
      let batch: StreamedEvent[] = [];
      for await (const event of log.between(progress.has, until)) {
        batch.push(event);
        if (batch.length < AHEAD) continue;
        if (!(await reader.give(batch))) return;
        batch = [];
      }
      if (!(await reader.give(batch))) return;
      // The position goes back only where the stream was made anew.
      progress.has = position < until ? 0 : until;
    }
    progress.caughtUp = true;
  }

  function add(wants: (event: StreamedEvent) => boolean, from: number): { reader: EventReader; progress: Progress } {
    const reader: EventReader = new EventReader(wants, from, () => readers.delete(reader));
    const progress = { has: from, caughtUp: false };
    readers.set(reader, progress);
    return { reader, progress };
  }

  return {
    async read({ after, wants }) {
      started ??= start().catch((error: unknown) => {
        started = null;
        throw error;
      });
      await started;
      const { first, last, begin = 0 } = after === null ? { first: 0, last: 0 } : await log.bounds();
      // 0 stands for the beginning, wherever that is.
      const asked = after === 0 ? begin : after;
      const from = asked === null || asked > last ? position : Math.max(asked, first - 1);
      const { reader, progress } = add(wants, from);
      if (asked !== null && (asked > last || asked < from)) reader.missed(asked, first);
      catchUp(reader, progress).catch((error: Error) => reader.end(`${error.message} Connect again to go on.`));
      return reader;
    },
    async close(sentence) {
      stopping.abort();
      handOut();
      for (const reader of readers.keys()) reader.end(sentence);
      await log.close();
      await running;
    },
  };
}
