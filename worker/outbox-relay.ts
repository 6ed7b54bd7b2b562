/**
 * Sends the outbox soon after rows moved, without an activity for each batch: a deployment over 200 hosts writes 400 of them.
 * It looks by itself too: the API writes events of drift, and a worker that is no more left some. While the bus takes none it
 * tries again, so that they come soon after it is back. Nothing depends on it: the deployment's last activity and the sweep send too.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../lib/logger.ts';

export interface RelayTimes {
  /** How often it looks where nobody notifies it. */
  readonly lookMs: number;
  /** The pause after a failure; doubled after each one that follows, up to the longest. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
}

const TIMES: RelayTimes = Object.freeze({ lookMs: 5_000, retryMs: 1_000, longestRetryMs: 10_000 });

interface Waiting {
  readonly resolve: (sent: number) => void;
  readonly reject: (error: unknown) => void;
}

/** The only one in this process that sends: who wants something sent joins the next round, so that at most one round is under way. */
export class OutboxRelay {
  private readonly drain: (signal: AbortSignal) => Promise<number>;
  private readonly times: RelayTimes;
  private readonly looking: NodeJS.Timeout;
  private readonly stopping = new AbortController();
  private wanted = false;
  private waiting: Waiting[] = [];
  private running: Promise<void> | null = null;
  /** Ends the pause after a failure. */
  private wake = new AbortController();

  constructor(drain: (signal: AbortSignal) => Promise<number>, times: RelayTimes = TIMES) {
    this.drain = drain;
    this.times = times;
    this.looking = setInterval(this.notify, times.lookMs).unref();
  }

  /** Returns at once. Notifications that come while it sends, or waits to retry, are one more round together. */
  readonly notify = (): void => {
    this.wanted = true;
    if (!this.stopping.signal.aborted) this.running ??= this.run();
  };

  /**
   * Settles as the next round that begins from now on does. It does not wait for the pause after a failure. Those who come during
   * a round share the one after it.
   */
  readonly flush = (signal?: AbortSignal): Promise<number> =>
    new Promise<number>((resolve, reject) => {
      if (this.stopping.signal.aborted) return reject(this.stopping.signal.reason);
      if (signal?.aborted) return reject(signal.reason);
      this.waiting.push({ resolve, reject });
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      // Before the notify: that may begin a round, with a pause of its own.
      this.wake.abort();
      this.notify();
    });

  async stop(): Promise<void> {
    clearInterval(this.looking);
    this.stopping.abort();
    this.wake.abort();
    await this.running;
    for (const { reject } of this.waiting.splice(0)) reject(this.stopping.signal.reason);
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    let wait = this.times.retryMs;
    while (this.wanted && !signal.aborted) {
      this.wanted = false;
      this.wake = new AbortController();
      const joined = this.waiting.splice(0);
      try {
        const sent = await this.drain(signal);
        for (const { resolve } of joined) resolve(sent);
        wait = this.times.retryMs;
      } catch (error) {
        for (const { reject } of joined) reject(error);
        this.wanted = true;
        if (this.waiting.length === 0)
          await pause(wait, undefined, { signal: this.wake.signal }).catch(() => undefined);
        wait = Math.min(wait * 2, this.times.longestRetryMs);
      }
    }
    this.running = null;
  }
}

/** Tells the log why events are not sent, in the server's words: when the reason changes, and when they are sent again. */

/** A reason that stays is told again after this long, so that a log of today has it. */
const AGAIN_MS = 600_000;

export class SendLog {
  private readonly logger: Pick<Logger, 'info' | 'warn'>;
  private readonly now: () => number;
  private reason: string | null = null;
  private toldAt = 0;

  constructor(logger: Pick<Logger, 'info' | 'warn'>, now: () => number = Date.now) {
    this.logger = logger;
    this.now = now;
  }

  failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (reason === this.reason && this.now() - this.toldAt < AGAIN_MS) return;
    this.reason = reason;
    this.toldAt = this.now();
    this.logger.warn(`events are not sent, and retried: ${reason}`);
  }

  sent(count: number): void {
    if (this.reason === null) return;
    this.reason = null;
    this.logger.info({ sent: count }, 'events are sent again');
  }
}

/** A round that sends nothing says nothing of the bus: there may be no events, or another worker sends them. */
export function loggedDrain(
  drain: (signal: AbortSignal) => Promise<number>,
  log: SendLog,
): (signal: AbortSignal) => Promise<number> {
  return async (signal) => {
    try {
      const sent = await drain(signal);
      if (sent > 0) log.sent(sent);
      return sent;
    } catch (error) {
      // A round that the worker's own end cut short.
      if (!signal.aborted) log.failed(error);
      throw error;
    }
  };
}
