/** The checkout, for programs that start others of it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

export type ProgramName = 'agent' | 'api' | 'cli' | 'worker';

/** Arguments of Node for a program of ours. */
export const programArguments = (program: ProgramName, ...more: readonly string[]): string[] => [
  join(ROOT, 'stack/run.mjs'),
  `${program}/main.ts`,
  ...more,
];
