/**
 * Events for many readers: the process has one consumer, which fans out. Who resumes reads what it missed by a consumer of its
 * own, and joins the others at the very event where it has caught up, so that none is missed and none comes twice.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { EventLog, StreamedEvent } from './event-log.ts';
import { EventReader } from './event-reader.ts';

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

export function createEventStream(log: EventLog): EventStream {
  const readers = new Set<EventReader>();
  /** Those of them that have caught up. */
  const live = new Set<EventReader>();
  const stopping = new AbortController();
  /** Of the last event that went to the readers. */
  let position = 0;
  let started: Promise<void> | null = null;
  let running: Promise<void> = Promise.resolve();

  function handOut(event: StreamedEvent): void {
    if (event.sequence <= position) return;
    position = event.sequence;
    for (const reader of live) reader.offer(event);
  }

  /** After a loss it goes on where it was; where the stream was made anew, at its beginning. */
  async function run(): Promise<void> {
    let wait = RETRY_MS;
    while (!stopping.signal.aborted) {
      try {
        const { last } = await log.bounds();
        if (last < position) position = 0;
        for await (const event of log.follow(position, stopping.signal)) {
          handOut(event);
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

  async function catchUp(reader: EventReader, after: number): Promise<void> {
    let reached = after;
    // Nothing is awaited between the last look at the position and joining.
    while (reached < position && !reader.ended) {
      const until = position;
      for await (const event of log.between(reached, until)) if (!(await reader.give(event))) return;
      reached = until;
    }
    if (!reader.ended) live.add(reader);
  }

  return {
    async read({ after, wants }) {
      started ??= start().catch((error: unknown) => {
        started = null;
        throw error;
      });
      await started;
      const bounds = after === null ? null : await log.bounds();
      const reader: EventReader = new EventReader(wants, after ?? position, () => {
        readers.delete(reader);
        live.delete(reader);
      });
      readers.add(reader);
      if (after === null || bounds === null) {
        live.add(reader);
        return reader;
      }
      const { first, last } = bounds;
      if (after > last || after + 1 < first) reader.missed(after, first);
      const from = after > last ? position : Math.max(after, first - 1);
      catchUp(reader, from).catch((error: Error) => reader.end(`${error.message} Connect again to go on.`));
      return reader;
    },
    async close(sentence) {
      stopping.abort();
      for (const reader of readers) reader.end(sentence);
      await log.close();
      await running;
    },
  };
}
