/** The outside of one run of the command; tests give their own. */
import type pc from 'picocolors';

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
