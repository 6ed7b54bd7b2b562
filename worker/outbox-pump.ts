/**
 * Sends the outbox soon after rows moved, without an activity for each batch: a deployment over 200 hosts writes 400 of them.
 * It looks by itself too: the API writes events of drift, and a worker that is no more left some. While the bus takes none it
 * tries again, so that they come soon after it is back. Nothing depends on it: the deployment's last activity and the sweep send too.
 */
import { setTimeout as pause } from 'node:timers/promises';

export interface PumpTimes {
  /** How often it looks where nobody pokes it. */
  readonly lookMs: number;
  /** The pause after a failure; doubled after each one that follows, up to the longest. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
}

const TIMES: PumpTimes = Object.freeze({ lookMs: 5_000, retryMs: 1_000, longestRetryMs: 10_000 });

export class OutboxPump {
  private readonly drain: (signal: AbortSignal) => Promise<unknown>;
  private readonly times: PumpTimes;
  private readonly looking: NodeJS.Timeout;
  private readonly stopping = new AbortController();
  private wanted = false;
  private running: Promise<void> | null = null;

  constructor(drain: (signal: AbortSignal) => Promise<unknown>, times: PumpTimes = TIMES) {
    this.drain = drain;
    this.times = times;
    this.looking = setInterval(this.poke, times.lookMs).unref();
  }

  /** Returns at once. Pokes that come while it sends, or waits to try again, are one more round together. */
  readonly poke = (): void => {
    this.wanted = true;
    if (!this.stopping.signal.aborted) this.running ??= this.run();
  };

  async stop(): Promise<void> {
    clearInterval(this.looking);
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    let wait = this.times.retryMs;
    while (this.wanted && !signal.aborted) {
      this.wanted = false;
      try {
        await this.drain(signal);
        wait = this.times.retryMs;
      } catch {
        this.wanted = true;
        await pause(wait, undefined, { signal }).catch(() => undefined);
        wait = Math.min(wait * 2, this.times.longestRetryMs);
      }
    }
    this.running = null;
  }
}
