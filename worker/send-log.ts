/** Tells the log why events are not sent, in the server's words: when the reason changes, and when they are sent again. */
import type { Logger } from '../lib/logger.ts';

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
