/** A program under measurement: a process of its own, known by its pid, ended at the end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { ROOT } from '../../stack/root.ts';

const STOP_TIMEOUT_MS = 30_000;
const KEPT = 200_000;

export interface ProgramOptions {
  readonly name: string;
  /** Of Node, run in the checkout. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Matches its output once it works; what the first group holds is returned. */
  readonly ready: RegExp;
  /** Where to write a CPU profile, if anywhere. */
  readonly profile?: string | null;
}

/** What decides how a program of Node behaves must not come from the shell, but it needs its PATH and home. */
const inherited = ({ PATH, HOME, USER, LANG, TMPDIR }: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  PATH,
  HOME,
  USER,
  LANG,
  TMPDIR,
});

const running = new Set<ChildProcess>();

/** Has a child ended with the bench, however that ends. */
export function track(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
}

/** Kills what an interrupted bench left. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

export class Program {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  #output = '';

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.pid = child.pid ?? 0;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-KEPT);
      });
  }

  /** Resolves when it is ready. Rejects with its output when it ends before. */
  static async start(options: ProgramOptions): Promise<{ readonly program: Program; readonly said: string }> {
    const profile = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] : [];
    const child = spawn(process.execPath, [...profile, ...options.args], {
      cwd: ROOT,
      env: { ...inherited(process.env), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    track(child);
    const program = new Program(options.name, child);
    return { program, said: await program.#ready(options.ready) };
  }

  #ready(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(this.#output);
        if (found) resolve(found[1] ?? found[0]);
      };
      for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.on('data', look);
      this.#child.once('error', reject);
      this.#child.once('close', () => reject(new Error(`${this.name} ended before it was ready:\n${this.#output}`)));
    });
  }

  /** Its last lines, for when something broke. */
  lastWords(lines = 10): string {
    return `${this.name}:\n${this.#output.split('\n').slice(-lines).join('\n')}`;
  }

  /** Drains it; kills it when that takes too long. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }
}
