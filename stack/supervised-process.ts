/** One process under supervision: started, or taken over from a killed supervisor; started again when it dies; stopped for good. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { identify, isRunning, type ProcessIdentity, signalProcess, waitForExit } from '../lib/process-table.ts';
import { NotReady, type ProcessSpec } from './context.ts';

/** In the environment of each child: `<instance>:<name>:<program>`. Proves, after a crash, whose it is. */
export const MARK = 'DECKHAND_STACK_PROCESS';

const RESTART_FIRST_MS = 200;
const RESTART_LAST_MS = 5_000;
/** One that lived this long starts again with the first, short pause. */
const STEADY_MS = 10_000;
const READY_POLL_MS = 100;
/** What a process misses only while it starts is not worth a line. */
const TELL_AFTER_MS = 3_000;
const WATCH_ADOPTED_MS = 500;
const ENDED_WELL = 'ended with 0';
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;

interface SupervisedOptions {
  readonly spec: ProcessSpec;
  readonly instance: string;
  readonly logFile: string;
  readonly say: (line: string) => void;
  /** The process is another one now, or none. */
  readonly onChange: () => void;
  /** It died and is ready again, or has ended for good. */
  readonly onRestarted: () => void;
}

export const markOf = (instance: string, spec: { readonly name: string; readonly command: string }): string =>
  `${instance}:${spec.name}:${basename(spec.command)}`;

export class SupervisedProcess {
  readonly #options: SupervisedOptions;
  #identity: ProcessIdentity | null = null;
  #stopping = false;
  #pauseMs = RESTART_FIRST_MS;
  #wakeUp: (() => void) | null = null;

  constructor(options: SupervisedOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.spec.name;
  }
  get identity(): ProcessIdentity | null {
    return this.#identity;
  }

  /** Starts it, or takes `survivor` over, and waits until it is ready. Rejects when it ends first or takes too long. */
  async start(survivor: ProcessIdentity | null): Promise<void> {
    const { spec, say } = this.#options;
    if (survivor && isRunning(survivor)) {
      this.#become(survivor);
      this.#watchAdopted(survivor);
      say(`taken over, pid ${survivor.pid}`);
    } else await this.#spawn();
    await this.#untilReady(spec.startTimeoutMs ?? 30_000);
  }

  /** Politely, then by SIGKILL. Never starts again afterwards. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wakeUp?.();
    const { spec, say } = this.#options;
    const identity = this.#identity;
    if (identity) await spec.beforeStop?.().catch((error: Error) => say(`before stopping: ${error.message}`));
    if (identity && signalProcess(identity, spec.stopSignal ?? 'SIGTERM')) {
      if (!(await waitForExit(identity, spec.stopTimeoutMs ?? 15_000))) {
        say(`did not stop within ${(spec.stopTimeoutMs ?? 15_000) / 1000} s, killed`);
        signalProcess(identity, 'SIGKILL');
        await waitForExit(identity, 5_000);
      }
    }
    this.#become(null);
    spec.cleanUp?.();
  }

  #become(identity: ProcessIdentity | null): void {
    this.#identity = identity;
    this.#options.onChange();
  }

  async #spawn(): Promise<void> {
    const { spec, logFile, instance } = this.#options;
    await spec.prepare?.();
    if (this.#stopping) return;
    const log = openLog(logFile);
    const child = spawn(spec.command, spec.args, {
      // A group of its own: the terminal's Ctrl-C reaches us alone, and we stop things in order.
      detached: true,
      stdio: ['ignore', log, log],
      cwd: spec.uid === undefined ? process.cwd() : '/',
      ...(spec.uid === undefined ? {} : { uid: spec.uid }),
      ...(spec.gid === undefined ? {} : { gid: spec.gid }),
      env: { ...process.env, ...spec.env, [MARK]: markOf(instance, spec) },
    });
    closeSync(log);
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ? `killed by ${signal}` : `ended with ${code}`));
    });
    const begun = Date.now();
    this.#become(child.pid === undefined ? null : identify(child.pid));
    void ended.then((how) => this.#died(how, Date.now() - begun));
  }

  #watchAdopted(survivor: ProcessIdentity): void {
    const timer = setInterval(() => {
      if (isRunning(survivor)) return;
      clearInterval(timer);
      void this.#died('is gone', STEADY_MS);
    }, WATCH_ADOPTED_MS);
    timer.unref();
  }

  async #died(how: string, livedMs: number): Promise<void> {
    if (this.#stopping) return;
    const { say, logFile, spec } = this.#options;
    this.#become(null);
    if (spec.mayEnd && how === ENDED_WELL) {
      this.#stopping = true;
      say('ended by itself, for good');
      this.#options.onRestarted();
      return;
    }
    this.#pauseMs = livedMs >= STEADY_MS ? RESTART_FIRST_MS : Math.min(this.#pauseMs * 2, RESTART_LAST_MS);
    say(`${how}; starts again in ${this.#pauseMs / 1000} s (see ${logFile})`);
    await this.#pause(this.#pauseMs);
    if (this.#stopping) return;
    try {
      await this.#spawn();
      // However long it takes: what it needs may be away too.
      await this.#untilReady(Number.POSITIVE_INFINITY);
      if (this.#stopping) return;
      say('is back');
      this.#options.onRestarted();
    } catch {
      // It died again, and that death has its own turn here.
    }
  }

  async #untilReady(timeoutMs: number): Promise<void> {
    const { spec, logFile, say } = this.#options;
    const identity = this.#identity;
    const until = Date.now() + timeoutMs;
    const missing = new Missing(say);
    while (!this.#stopping) {
      if (!identity || !isRunning(identity))
        throw new Error(`${spec.name} ended while it started; ${lastLines(logFile)}`);
      // Looked at again: one that ended because a stranger has its port must not pass for ready by the stranger's answer.
      if ((await missing.of(spec.ready)) && isRunning(identity)) return;
      if (Date.now() > until)
        throw new Error(
          `${spec.name} was not ready after ${timeoutMs / 1000} s; ${missing.sentence ?? lastLines(logFile)}`,
        );
      await this.#pause(READY_POLL_MS);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#stopping) this.#wakeUp();
    });
  }
}

/** Tells what a process says it misses once that has stayed the same for a while, and each thing once. */
class Missing {
  readonly #say: (line: string) => void;
  #since = 0;
  #told: string | null = null;
  /** Its last word; null where it says nothing. */
  sentence: string | null = null;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  async of(ready: () => Promise<boolean>): Promise<boolean> {
    try {
      return await ready();
    } catch (error) {
      this.#heard(error instanceof NotReady ? error.message : null);
      return false;
    }
  }

  #heard(sentence: string | null): void {
    if (sentence !== this.sentence) this.#since = Date.now();
    this.sentence = sentence;
    if (sentence === null || sentence === this.#told || Date.now() - this.#since < TELL_AFTER_MS) return;
    this.#told = sentence;
    this.#say(`waits: ${sentence}`);
  }
}

/** Appends; a log over {@link LOG_LIMIT_BYTES} makes room first, one old one is kept. */
function openLog(path: string): number {
  try {
    if (statSync(path).size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  } catch {
    // There is none yet.
  }
  return openSync(path, 'a', 0o600);
}

const LAST_LINES = 8;

function lastLines(path: string): string {
  try {
    const lines = readFileSync(path, 'utf8').trim().split('\n').slice(-LAST_LINES);
    return `the last lines of ${path}:\n${lines.map((line) => `  ${line.slice(0, 400)}`).join('\n')}`;
  } catch {
    return `see ${path}`;
  }
}
