/**
 * Sends the outbox soon after rows moved, without an activity for each batch: a deployment over 200 hosts writes 400 of them.
 * Nothing depends on it: what it could not send, the deployment's last activity or the sweep does.
 */
export class OutboxPump {
  private readonly drain: (signal: AbortSignal) => Promise<unknown>;
  private readonly stopping = new AbortController();
  private wanted = false;
  private running: Promise<void> | null = null;

  constructor(drain: (signal: AbortSignal) => Promise<unknown>) {
    this.drain = drain;
  }

  /** Returns at once. Pokes that come while it sends are one more round together. */
  readonly poke = (): void => {
    this.wanted = true;
    if (!this.stopping.signal.aborted) this.running ??= this.run();
  };

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    while (this.wanted && !this.stopping.signal.aborted) {
      this.wanted = false;
      await this.drain(this.stopping.signal).catch(() => undefined);
    }
    this.running = null;
  }
}
