/** The simulated engine's state on disk, so that deckies outlive the worker that made them, as containers would. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';

const container = z.object({ name: z.string(), service: z.string(), ip: z.string().nullable() });
const decky = z.object({
  /** Hash of the spec and the network that it came up with. */
  hash: z.string(),
  /** Epoch milliseconds. */
  startedAt: z.number(),
  containers: z.array(container),
  /** An operator stopped it. */
  stopped: z.boolean().optional(),
});
const state = z.object({ instance: z.string(), deckies: z.record(z.string(), decky), network: z.boolean() });

export type SimulatedState = z.infer<typeof state>;
export type SimulatedDecky = z.infer<typeof decky>;

export class SimulatedStore {
  readonly #path: string;
  readonly #instance: string;
  #state: Promise<SimulatedState> | null = null;
  /** Writes follow each other; the one that waits writes for all who changed something meanwhile. */
  #writing: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | null = null;

  constructor(path: string, instance: string) {
    this.#path = path;
    this.#instance = instance;
  }

  /** The living object; call {@link save} after a change. */
  read(): Promise<SimulatedState> {
    this.#state ??= this.#load();
    return this.#state;
  }

  save(): Promise<void> {
    this.#waiting ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#waiting = null;
        this.#writing = this.#write();
        return this.#writing;
      });
    return this.#waiting;
  }

  /** A file that is missing, of another instance or unreadable means that nothing runs: it is only a simulation. */
  async #load(): Promise<SimulatedState> {
    const empty: SimulatedState = { instance: this.#instance, deckies: {}, network: false };
    try {
      const read = state.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      return read.instance === this.#instance ? read : empty;
    } catch {
      return empty;
    }
  }

  async #write(): Promise<void> {
    const text = JSON.stringify(await this.read());
    const aside = `${this.#path}.${randomUUID()}`;
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeFile(aside, text, { mode: 0o600 });
    await rename(aside, this.#path);
  }
}
