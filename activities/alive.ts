/** Long activities say that they are alive: a killed worker is noticed within seconds, and a cancellation arrives. */
import { Context, heartbeat } from '@temporalio/activity';

/** Temporal throttles heartbeats itself; this is how often the activity offers one. */
const HEARTBEAT_MS = 2_000;

/** Heartbeats with the latest step while `work` runs, so that a killed worker is noticed and a cancel arrives. */
export async function alive<T>(
  work: (step: (text: string) => void, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal = Context.current().cancellationSignal,
): Promise<T> {
  let latest = '';
  const timer = setInterval(() => heartbeat(latest), HEARTBEAT_MS);
  try {
    return await work((text) => {
      latest = text;
      heartbeat(text);
    }, signal);
  } finally {
    clearInterval(timer);
  }
}
