/** A worker as a process of its own, for tests that kill it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { programArguments } from '../../../stack/root.ts';

/** Resolves when the worker says that it is ready. Stop it with `kill('SIGKILL')` or `kill('SIGTERM')`. */
export async function spawnWorker(environment: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn(process.execPath, programArguments('worker'), {
    env: { ...environment, DECKHAND_LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.includes('"worker ready"')) break;
  }
  if (child.exitCode !== null) throw new Error(`The worker ended at once: ${text}`);
  child.stdout.resume();
  return child;
}

export async function endWorker(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
