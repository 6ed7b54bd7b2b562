/** A program of ours as a process, with all that it prints kept. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type ProgramName, programArguments } from '../../../stack/root.ts';

export interface LoggedProcess {
  output(): string;
  /** Resolves once it has ended. */
  end(): Promise<void>;
}

/** Resolves when it has printed `ready`; rejects, with its output, when it ends before. */
export async function spawnLogged(
  program: ProgramName,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  ready: string,
): Promise<LoggedProcess> {
  const child = spawn(process.execPath, programArguments(program, ...args), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes(ready)) resolve();
      });
    child.once('exit', () => reject(new Error(`${args.join(' ')} ended:\n${text.slice(-2_000)}`)));
  });
  return {
    output: () => text,
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    },
  };
}
