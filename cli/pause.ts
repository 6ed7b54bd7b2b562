import { setTimeout as delay } from 'node:timers/promises';

/** Waits `ms`, or less when `signal` is aborted meanwhile; never throws. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
