/** A dashboard's figures as the text of a server-sent stream. */
import { setTimeout as pause } from 'node:timers/promises';

export interface FleetCounts {
  readonly deployed: number;
  readonly active: number;
}

/** How often the figures go out; both sides notice a dead connection by them. */
const EVERY_MS = 10_000;
/** Many dashboards share a look at the database that is no older than this. */
const FRESH_MS = 2_000;
/** How often it is looked whether the reader may still read: every so many figures. */
const CHECK_EVERY = 6;

/** What `look` says, asked once for all who want it within {@link FRESH_MS}. */
export function sharedFigures(look: () => Promise<FleetCounts>): () => Promise<FleetCounts> {
  let last: { readonly at: number; readonly figures: Promise<FleetCounts> } | null = null;
  return () => {
    if (last !== null && Date.now() - last.at < FRESH_MS) return last.figures;
    const asked = { at: Date.now(), figures: look() };
    last = asked;
    asked.figures.catch(() => {
      if (last === asked) last = null;
    });
    return asked.figures;
  };
}

const frame = (type: string, data: unknown): string => `event: message\ndata: ${JSON.stringify({ type, data })}\n\n`;

/** No logs are collected here, and no attackers are told from one another. */
const statsOf = ({ deployed, active }: FleetCounts): string =>
  frame('stats', { total_logs: 0, unique_attackers: 0, active_deckies: active, deployed_deckies: deployed });

export interface FigureReader {
  readonly figures: () => Promise<FleetCounts>;
  /** Whether the reader may still read. */
  readonly allowed: () => Promise<boolean>;
  /** Called when the stream is over; may be called twice. */
  readonly left: () => void;
  /** The stream ends after so many events. */
  readonly most: number;
  readonly stopping: AbortSignal | undefined;
  readonly everyMs?: number;
}

/** The stream begins and ends the answer. A look that fails costs one round, not the stream. */
export function figureChunks(first: FleetCounts, reader: FigureReader): ReadableStream<Uint8Array> {
  const { figures, allowed, left, most, stopping, everyMs = EVERY_MS } = reader;
  const over = new AbortController();
  const stop = (): void => over.abort();
  stopping?.addEventListener('abort', stop, { once: true });
  if (stopping?.aborted) stop();
  const end = (): void => {
    over.abort();
    stopping?.removeEventListener('abort', stop);
    left();
  };
  let rounds = 0;
  let sent = 0;
  const next = async (): Promise<string> => {
    if (rounds === 0) return `: figures follow\n\n`;
    if (rounds === 1) return statsOf(first);
    if (rounds === 2) return frame('histogram', []);
    await pause(everyMs, undefined, { signal: over.signal });
    if ((rounds - 2) % CHECK_EVERY === 0 && !(await allowed().catch(() => true))) throw new Error('no longer allowed');
    return figures().then(statsOf, () => ': the database does not answer\n\n');
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          if (sent >= most && rounds > 0) throw new Error('enough');
          const text = await next();
          rounds += 1;
          if (text.startsWith('event:')) sent += 1;
          controller.enqueue(Buffer.from(text));
        } catch {
          // The reader's time is over, for one reason or another; a browser connects again and is told then.
          if (!over.signal.aborted || stopping?.aborted) controller.close();
          end();
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}
