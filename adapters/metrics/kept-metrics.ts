/** Sizes of what is kept outside of PostgreSQL: the stream of events, and closed workflows. Read when somebody scrapes. */
import { Gauge, type Registry } from 'prom-client';

/** Counting closed workflows costs Temporal a query; these sizes move slowly. */
const FRESH_MS = 60_000;
/** What does not answer must not make the scrape hang. */
const READ_MS = 2_000;

export interface KeptSizes {
  readonly stream: () => Promise<{ readonly events: number; readonly bytes: number }>;
  readonly closedWorkflows: () => Promise<number>;
}

/** The value, shared by scrapes within `FRESH_MS`; null, asked anew by the next scrape, where it can't be had. */
function shared<T>(read: () => Promise<T>): () => Promise<T | null> {
  let last: { readonly value: Promise<T | null>; readonly until: number } | null = null;
  return () => {
    if (last && performance.now() < last.until) return last.value;
    const value = withinLimit(read()).catch(() => {
      last = null;
      return null;
    });
    last = { value, until: performance.now() + FRESH_MS };
    return value;
  };
}

async function withinLimit<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${READ_MS} ms`)), READ_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function addKeptMetrics(registry: Registry, { stream, closedWorkflows }: KeptSizes): void {
  const add = (name: string, help: string, read: () => Promise<number | null>): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const value = await read();
        if (value === null) this.remove();
        else this.set(value);
      },
    });
  };
  const streamed = shared(stream);
  add('deckhand_stream_events', 'Events that the stream on NATS keeps', async () => (await streamed())?.events ?? null);
  add('deckhand_stream_size_bytes', 'Size of the stream on NATS', async () => (await streamed())?.bytes ?? null);
  add('deckhand_closed_workflows', 'Closed workflows that Temporal keeps in the namespace', shared(closedWorkflows));
}
