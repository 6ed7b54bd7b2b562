/** The stack under measurement: the real `npm start` in a home of its own, ended and removed afterwards. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readStackFile, type StackFile } from '../stack/home.ts';
import { ROOT } from '../stack/root.ts';

const UP = 'Deckhand is up.';
const PROFILE = new URL('./profile-at-exit.mjs', import.meta.url).href;
/** A first start may build Temporal's server, which takes about 4 minutes on two cores. */
const START_TIMEOUT_MS = 600_000;
const LAST_LINES = 8;
const STOP_TIMEOUT_MS = 120_000;

export class BenchStack {
  readonly home = mkdtempSync(join(tmpdir(), 'deckhand-bench-'));
  /** Container names, network and labels of its own, beside whatever else runs on the engine. */
  readonly project = `bench${process.pid}`;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #output = '';
  #hasEnded = false;

  constructor(profileDirectory: string | null) {
    // Servers of its own, whatever the shell names; the engine may be the machine's, since it is the same for all columns.
    const own = {
      TEMPORAL_ADDRESS: undefined,
      DATABASE_URL: undefined,
      NATS_URL: undefined,
      DECKHAND_API_PORT: undefined,
    };
    const profiled = profileDirectory
      ? { NODE_OPTIONS: `--import ${PROFILE}`, DECKHAND_PROFILE_DIR: resolve(profileDirectory) }
      : {};
    const ours = { DECKHAND_HOME: this.home, DECKHAND_PROJECT: this.project };
    this.#environment = { ...process.env, ...own, ...profiled, ...ours };
    this.#child = spawn('npm', ['start', '--', '--fleet', 'none'], {
      cwd: ROOT,
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.#hasEnded = true;
        resolve();
      });
    });
  }

  /** Resolves with where everything is. Throws with its output when it does not come up. */
  async up(): Promise<StackFile> {
    const until = Date.now() + START_TIMEOUT_MS;
    while (!this.#output.includes(UP)) {
      if (this.#hasEnded || Date.now() > until) throw new Error(`npm start did not come up:\n${this.#output}`);
      await sleep(100);
    }
    return this.where();
  }

  where(): StackFile {
    const file = readStackFile(this.home);
    if (!file) throw new Error(`There is no stack.json in ${this.home}.`);
    return file;
  }

  /** Pid of a process of the stack, as it is now. */
  pid(name: string): number {
    const found = this.where().processes.find((one) => one.name === name);
    if (!found) throw new Error(`The stack has no process ${name}.`);
    return found.pid;
  }

  /** The last lines of the programs' logs, for when something broke: the home goes. */
  lastWords(): string {
    return ['api', 'worker']
      .map((name) => join(this.home, 'logs', `${name}.log`))
      .filter((file) => existsSync(file))
      .map((file) => `${file}:\n${readFileSync(file, 'utf8').split('\n').slice(-LAST_LINES).join('\n')}`)
      .join('\n');
  }

  /** Removes containers and networks of the instance, ends the stack, removes its home. */
  async stop(): Promise<void> {
    if (this.#output.includes(UP) && !this.#hasEnded) await this.#purge();
    if (!this.#hasEnded && this.#child.pid) process.kill(-this.#child.pid, 'SIGINT');
    const late = AbortSignal.timeout(STOP_TIMEOUT_MS);
    await Promise.race([this.#ended, sleep(STOP_TIMEOUT_MS, undefined, { signal: late }).catch(() => undefined)]);
    if (!this.#hasEnded) throw new Error(`npm start did not end; its home is ${this.home}:\n${this.#output}`);
    rmSync(this.home, { recursive: true, force: true });
  }

  #purge(): Promise<void> {
    const command = [join(ROOT, 'cli', 'deckhand.mjs'), 'purge', '--yes'];
    const child = spawn(process.execPath, command, { cwd: ROOT, env: this.#environment, stdio: 'ignore' });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => resolve());
    });
  }
}
