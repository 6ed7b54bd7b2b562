/** The agent's state on disk: one file, replaced as a whole, and changes that come together are written together. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeDirectory, readIfThere, replaceFile } from '../lib/files.ts';
import type { Logger } from '../lib/logger.ts';
import { type AgentState, emptyState } from './state.ts';

const FILE = 'agent-state.json';
/** Between two tries to write, where the disk is full or gone. */
const RETRY_MS = 1_000;

export class AgentStore {
  readonly state: AgentState;
  readonly #path: string;
  readonly #logger: Logger;
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  #durableSequence: number;

  private constructor(path: string, state: AgentState, logger: Logger) {
    this.#path = path;
    this.state = state;
    this.#logger = logger;
    this.#durableSequence = state.sequence;
  }

  /** What can't be read is set aside: the master finds out what was lost by asking. */
  static async open(directory: string, logger: Logger): Promise<AgentStore> {
    await makeDirectory(directory);
    const path = join(directory, FILE);
    const text = await readIfThere(path);
    if (text === null) return new AgentStore(path, emptyState(), logger);
    try {
      const state = JSON.parse(text) as AgentState;
      if (state.version !== 1) throw new Error(`version ${String(state.version)} is not known here`);
      return new AgentStore(path, state, logger);
    } catch (error) {
      const aside = `${path}.unreadable-${Date.now()}`;
      logger.error({ err: error, aside }, 'the state can’t be read; it is set aside, and the agent begins anew');
      await rename(path, aside);
      return new AgentStore(path, emptyState(), logger);
    }
  }

  /** Deltas up to this number are on disk: only these may be sent, since a number is never used twice. */
  get durableSequence(): number {
    return this.#durableSequence;
  }

  /** Resolves once the change is on disk. Rejects when it can't be written; it stands in memory then. */
  async change<T>(apply: (state: AgentState) => T): Promise<T> {
    const result = apply(this.state);
    await this.#flush();
    return result;
  }

  /** As {@link change}, for what has happened and can't be refused any more: tries until it is on disk. */
  async record<T>(apply: (state: AgentState) => T): Promise<T> {
    const result = apply(this.state);
    for (;;) {
      try {
        await this.#flush();
        return result;
      } catch (error) {
        this.#logger.error({ err: error }, 'the state can’t be written; trying again');
        await sleep(RETRY_MS);
      }
    }
  }

  #flush(): Promise<void> {
    this.#next ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#next = null;
        this.#writing = this.#write();
        return this.#writing;
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    const { sequence } = this.state;
    await replaceFile(this.#path, JSON.stringify(this.state));
    this.#durableSequence = sequence;
  }
}
