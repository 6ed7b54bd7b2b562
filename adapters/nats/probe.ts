/** Whether events can be stored: for /readyz, `npm start` and `doctor`. */
import { atMost, type Bus } from './bus.ts';
import { connectNats } from './connect.ts';
import { BusRefused, busUnavailable } from './refusals.ts';
import { smallerStream, tryStream } from './stream.ts';

/** Shorter than what asks for readiness waits. */
const PROBE_MS = 1_500;

export interface Degraded {
  readonly degraded: string;
}

/**
 * Rejects with NATS's own words where it refuses, which only an operator can mend. A bus that is away makes nobody wait and
 * comes back by itself: that is told as `degraded`.
 */
export async function probeBus(bus: Pick<Bus, 'ping'>): Promise<Degraded | undefined> {
  const asked = bus.ping().then(
    () => undefined,
    (error: Error) => {
      if (error instanceof BusRefused) throw error;
      return { degraded: `unreachable: ${error.message}` };
    },
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Degraded>((resolve) => {
    const degraded = `unreachable: no answer within ${PROBE_MS / 1000} s; events wait in the outbox.`;
    timer = setTimeout(() => resolve({ degraded }), PROBE_MS);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
    asked.catch(() => undefined);
  }
}

/** What `tryStream` finds over a connection of its own. Throws as the bus does. */
export async function lookAtBus(url: string): Promise<{ exists: boolean; smaller: string | null }> {
  try {
    const nc = await connectNats(url, { name: 'deckhand-look', reconnect: false, timeout: 2_000 });
    try {
      const { exists, config } = await tryStream(nc);
      return { exists, smaller: smallerStream(config) };
    } finally {
      await atMost(2_000, nc.close());
    }
  } catch (error) {
    throw busUnavailable(url, error, 'events wait until then.');
  }
}
