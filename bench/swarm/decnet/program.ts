/** A part of DECNET 1.0.0 that serves in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { z } from 'zod';
import { track } from '../program.ts';

export interface DecnetProgram<T> {
  /** What it printed once it served. */
  readonly said: T;
  readonly pid: number;
  /** Kills it and removes its directory. */
  stop(): Promise<void>;
}

/** Runs `file` by `python`, which reads `ask` as one line of JSON, works in `ask.directory` and prints a line of JSON once it serves. */
export async function startDecnet<T>(
  python: string,
  file: string,
  ask: { readonly directory: string },
  shape: z.ZodType<T>,
): Promise<DecnetProgram<T>> {
  mkdirSync(ask.directory, { recursive: true });
  const child = spawn(python, [file], { stdio: ['pipe', 'pipe', 'ignore'] });
  track(child);
  child.stdin.end(`${JSON.stringify(ask)}\n`);
  const stop = (): Promise<void> => end(child, ask.directory);
  try {
    return { said: shape.parse(JSON.parse(await firstWords(child, file))), pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function firstWords(child: ChildProcess, file: string): Promise<string> {
  if (child.stdout)
    for await (const line of createInterface({ input: child.stdout }))
      if (line.startsWith('{')) {
        child.stdout.resume();
        return line;
      }
  throw new Error(`DECNET did not start by ${file}.`);
}

async function end(child: ChildProcess, directory: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(directory, { recursive: true, force: true });
}
