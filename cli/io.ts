/** The outside of one run: streams, terminal, environment and signals. Tests pass their own. */

import { createInterface } from 'node:readline/promises';
import { setTimeout as delay } from 'node:timers/promises';
import pc from 'picocolors';

export type Colours = ReturnType<typeof pc.createColors>;

export interface Io {
  /** A line (or several) to standard output. */
  out(text: string): void;
  /** A line to standard error. */
  err(text: string): void;
  /** The terminal, where standard output is one that can be redrawn; else null. */
  readonly terminal: NodeJS.WriteStream | null;
  readonly colours: Colours;
  readonly environment: NodeJS.ProcessEnv;
  /** Aborted by Ctrl-C or SIGTERM. Only commands that wait take notice. */
  readonly interrupted: AbortSignal;
  /** Asks at the terminal; false without one. */
  confirm(question: string): Promise<boolean>;
}

export const isInterrupted = (io: Io): boolean => io.interrupted.aborted;

// The real one: this process

const canRedraw = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && process.env.TERM !== 'dumb';

/** A first Ctrl-C aborts what waits; a second one ends the process at once, in case something does not listen. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return controller.signal;
}

async function confirm(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true) return false;
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await reader.question(`${question} [y/N] `)).trim());
  } catch {
    return false;
  } finally {
    reader.close();
  }
}

export function processIo(): Io {
  // `deckhand … | head` closes the pipe; that is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    out: (text) => process.stdout.write(`${text}\n`),
    err: (text) => process.stderr.write(`${text}\n`),
    terminal: canRedraw(process.stdout) ? process.stdout : null,
    colours: pc.createColors(pc.isColorSupported && process.stdout.isTTY === true),
    environment: process.env,
    interrupted: interruption(),
    confirm,
  };
}

/** Waits `ms`, or less when `signal` is aborted meanwhile; never throws. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
