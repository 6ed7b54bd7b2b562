/** The outside of a command for tests: what it prints is kept, nothing is a terminal. */
import pc from 'picocolors';
import type { Io } from '../../../cli/io.ts';

export interface CapturedIo extends Io {
  readonly lines: string[];
  readonly errors: string[];
  interrupt(): void;
}

export function capturedIo(environment: NodeJS.ProcessEnv = {}, answer = false): CapturedIo {
  const lines: string[] = [];
  const errors: string[] = [];
  const controller = new AbortController();
  return {
    lines,
    errors,
    out: (text) => void lines.push(text),
    err: (text) => void errors.push(text),
    terminal: null,
    colours: pc.createColors(false),
    environment,
    interrupted: controller.signal,
    interrupt: () => controller.abort(),
    confirm: async () => answer,
  };
}
