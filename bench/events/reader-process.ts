/** Readers of `GET /events` in a process of their own (reader-program.ts). */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Operator } from '../swarm/deckhand.ts';
import type { Judged, JudgeReaders, OpenReaders } from './reader-program.ts';

const PROGRAM = fileURLToPath(new URL('./reader-program.ts', import.meta.url));

export class ReaderProcess {
  readonly #child: ChildProcess = fork(PROGRAM, { execArgv: ['--import', import.meta.resolve('tsx')] });

  /** Resolves once all read. */
  async open(operator: Operator, count: number): Promise<void> {
    await this.#ask({ operator, count });
  }

  /** What was wrong with what they got, once nothing more comes or 30 s have passed; then they are closed. */
  async judge(expected: number): Promise<readonly string[]> {
    return (await this.#ask({ expected })).problems;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }

  #ask(message: OpenReaders | JudgeReaders): Promise<Judged> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('The readers’ process has ended.'));
      this.#child.once('exit', ended);
      this.#child.once('message', (judged: Judged) => {
        this.#child.off('exit', ended);
        resolve(judged);
      });
      this.#child.send(message);
    });
  }
}
