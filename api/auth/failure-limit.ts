/** Counts failures per key within a sliding window; in memory, so a restart forgets them (docs/wire.md#login-and-tokens). */

export interface FailureLimitOptions {
  readonly failures: number;
  readonly windowMs: number;
  /** Milliseconds; a clock of its own for tests. */
  readonly now?: () => number;
  /** Keys remembered at most; the longest unchanged ones go first. */
  readonly maxKeys?: number;
}

export class FailureLimit {
  readonly #options: Required<FailureLimitOptions>;
  /** In order of the last failure, oldest first. */
  readonly #failures = new Map<string, readonly number[]>();

  constructor(options: FailureLimitOptions) {
    this.#options = { now: Date.now, maxKeys: 10_000, ...options };
  }

  #recent(key: string): readonly number[] {
    const since = this.#options.now() - this.#options.windowMs;
    return (this.#failures.get(key) ?? []).filter((moment) => moment > since);
  }

  /** Seconds until any of the keys may try again, at least 1; null when none has used up its failures. */
  retryAfterSeconds(keys: readonly string[]): number | null {
    const waits = keys.map((key) => {
      const recent = this.#recent(key);
      const oldest = recent[recent.length - this.#options.failures];
      return oldest === undefined ? 0 : oldest + this.#options.windowMs - this.#options.now();
    });
    const wait = Math.max(0, ...waits);
    return wait === 0 ? null : Math.max(1, Math.ceil(wait / 1000));
  }

  recordFailure(keys: readonly string[]): void {
    for (const key of keys) {
      const recent = [...this.#recent(key), this.#options.now()].slice(-this.#options.failures);
      this.#failures.delete(key);
      this.#failures.set(key, recent);
    }
    for (const key of this.#failures.keys()) {
      if (this.#failures.size <= this.#options.maxKeys) break;
      this.#failures.delete(key);
    }
  }
}
