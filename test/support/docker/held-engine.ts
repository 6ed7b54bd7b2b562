/** An engine that a test holds up in the middle of bringing a decky up. */
import type { ComposeEngine } from '../../../engine/engine.ts';
import { until } from '../until.ts';

/** `queued`: an abort ends it, as a call that waits for a permit; `sent`: it goes on, as a call that the engine has got. */
type Kind = 'queued' | 'sent';

export class HeldEngine {
  #next: Kind | null = null;
  #release: (() => void) | null = null;
  #ended: Promise<unknown> = Promise.resolve();

  /** The next decky that is brought up is held. */
  hold(kind: Kind): void {
    this.#next = kind;
  }

  async held(): Promise<void> {
    await until('a decky on its way up', () => this.#release !== null);
  }

  /** Lets it go on, and waits for its end. */
  async release(): Promise<void> {
    this.#release?.();
    this.#release = null;
    await this.#ended;
  }

  readonly around = (engine: ComposeEngine): ComposeEngine => {
    const up: ComposeEngine['up'] = (spec, network, options = {}) => {
      const kind = this.#next;
      this.#next = null;
      if (kind === null) return engine.up(spec, network, options);
      options.onProgress?.(`creating ${spec.decky}`);
      const result = this.#wait(kind === 'queued' ? options.signal : undefined).then(() => engine.up(spec, network));
      this.#ended = result.catch(() => undefined);
      return result;
    };
    return new Proxy(engine, {
      get: (target, key) => {
        if (key === 'up') return up;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#release = resolve;
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }
}
