/** Reads server-sent events over a connection of its own. */
import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';

export interface SeenEvent {
  readonly id: string;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of every shape
  readonly data: any;
}

export interface EventReading {
  /** All so far. */
  readonly events: readonly SeenEvent[];
  /** Waits for so many that are `wanted`, from the first one on. */
  take(count: number, wanted?: (one: SeenEvent) => boolean): Promise<SeenEvent[]>;
  close(): void;
}

const PATIENCE_MS = 60_000;

function parse(block: string): SeenEvent | null {
  const fields = Object.fromEntries(
    block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
  );
  if (fields.data === undefined) return null;
  return { id: fields.id ?? '', event: fields.event ?? 'message', data: JSON.parse(fields.data) };
}

/** Resolves once the answer has begun; fails for any status but 200. */
export async function readEvents(url: string, headers: Record<string, string>): Promise<EventReading> {
  const events: SeenEvent[] = [];
  const waiting = new Set<() => void>();
  const asked = request(url, { headers, agent: false });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve).once('error', reject).end();
  });
  asked.on('error', () => undefined);
  response.on('error', () => undefined);
  assert.equal(response.statusCode, 200);
  let rest = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    events.push(...blocks.map(parse).filter((one) => one !== null));
    for (const wake of waiting) wake();
  });
  return {
    events,
    async take(count, wanted = () => true) {
      for (const end = Date.now() + PATIENCE_MS; ; ) {
        const found = events.filter(wanted);
        if (found.length >= count) return found.slice(0, count);
        assert.ok(Date.now() < end, `${found.length} of ${count} events within ${PATIENCE_MS / 1000} s`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(done, 500);
          function done(): void {
            clearTimeout(timer);
            waiting.delete(done);
            resolve();
          }
          waiting.add(done);
        });
      }
    },
    close: () => {
      asked.destroy();
    },
  };
}
