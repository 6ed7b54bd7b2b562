/** `npm start` as a child of a test: in a home of its own, its output kept, its stack.json read. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify } from '../../../lib/process-table.ts';
import { type StackFile, stackFileSchema } from '../../../stack/home.ts';
import { ROOT } from '../../../stack/root.ts';

const UP = 'Deckhand is up.';

export interface StartSettings {
  readonly home: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The checkout to start; this one unless given. */
  readonly root?: string;
}

export class StackProcess {
  readonly #home: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #output = '';

  constructor({ home, args, env = {}, root = ROOT }: StartSettings) {
    this.#home = home;
    // Its servers are its own, whatever the shell of the tests has set.
    const own = { TEMPORAL_ADDRESS: undefined, DATABASE_URL: undefined, NATS_URL: undefined };
    this.#child = spawn(process.execPath, [join(root, 'stack/start.mjs'), ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      // As on CI, so that what it prints to a pipe is seen plain there too.
      env: { ...process.env, ...own, CI: '1', ...env, DECKHAND_HOME: home },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    this.#ended = new Promise((resolve) => this.#child.once('close', resolve));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }
  get output(): string {
    return this.#output;
  }
  get lastLine(): string {
    return this.#output.trimEnd().split('\n').at(-1) ?? '';
  }

  /** Rejects with the output when it ends before it is up. */
  async up(): Promise<this> {
    let ended = false;
    void this.#ended.then(() => {
      ended = true;
    });
    while (!this.#output.includes(UP)) {
      if (ended) throw new Error(`npm start ended before it was up:\n${this.#output}`);
      await sleep(50);
    }
    return this;
  }
  /** The exit code; null when it was killed. */
  ended(): Promise<number | null> {
    return this.#ended;
  }
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  stackFile(): StackFile {
    return stackFileSchema.parse(JSON.parse(readFileSync(join(this.#home, 'stack.json'), 'utf8')));
  }
  pidOf(name: string): number | null {
    return this.stackFile().processes.find((process) => process.name === name)?.pid ?? null;
  }
  /** Kills the process -9 and waits until stack.json names another, living one. Returns the two pids. */
  async killAndAwaitReturn(name: string): Promise<{ before: number; after: number }> {
    const before = this.pidOf(name);
    if (before === null) throw new Error(`${name} is not in stack.json`);
    process.kill(before, 'SIGKILL');
    for (;;) {
      const after = this.pidOf(name);
      if (after !== null && after !== before && identify(after)) return { before, after };
      await sleep(50);
    }
  }
}
