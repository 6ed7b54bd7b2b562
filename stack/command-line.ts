/** The `deckhand` command as a child of `npm start`: it deploys, shows the progress, and takes down. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { z } from 'zod';
import type { StackHome } from './home.ts';
import { programArguments } from './root.ts';
import { MARK, markOf } from './supervised-process.ts';

const summarySchema = z.object({
  succeeded: z.number().int(),
  failed: z.number().int(),
  unchanged: z.number().int(),
});
export type Summary = z.infer<typeof summarySchema>;

export class CommandLine {
  readonly #home: StackHome;
  readonly #running = new Set<ChildProcess>();
  #killed = false;

  constructor(home: StackHome) {
    this.#home = home;
  }

  /** Null when the deploy never got to counting: refused, interrupted, unreachable; the command has said why. */
  async deploy(file: string, replace: boolean): Promise<Summary | null> {
    const summary = this.#home.path('deploy-summary.json');
    rmSync(summary, { force: true });
    await this.run([
      'deploy',
      file,
      '--wait',
      '--add-missing',
      '--summary-file',
      summary,
      ...(replace ? ['--replace'] : []),
    ]);
    if (!existsSync(summary)) return null;
    try {
      return summarySchema.parse(JSON.parse(readFileSync(summary, 'utf8')));
    } catch {
      return null;
    }
  }

  /** In a group of its own, so that Ctrl-C reaches it through us alone, after what it waits for has been stopped. Resolves with its exit code. */
  run(args: readonly string[], quiet = false): Promise<number> {
    const command = process.execPath;
    const { DECKHAND_API_URL: _url, DECKHAND_TOKEN: _token, ...environment } = process.env;
    const output = quiet ? 'ignore' : 'inherit';
    const child = spawn(command, programArguments('cli', ...args), {
      detached: true,
      stdio: ['ignore', output, output],
      env: {
        ...environment,
        DECKHAND_HOME: this.#home.directory,
        [MARK]: markOf(this.#home.instance, { name: 'deckhand', command }),
      },
    });
    this.#running.add(child);
    return new Promise((resolve) => {
      child.once('error', () => resolve(255));
      child.once('exit', (code) => {
        this.#running.delete(child);
        if (!this.#killed) resolve(code ?? 255);
      });
    });
  }

  /** For the end of the whole program: what waits for the command waits for ever. */
  kill(): void {
    this.#killed = true;
    for (const child of this.#running) child.kill('SIGKILL');
  }
}
