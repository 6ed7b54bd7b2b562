/**
 * Our programs as files that Node loads by itself. They are bundled (bundle.mjs) when a source has changed, and what was
 * made is kept beside the packages. Loading module by module through tsx costs a program about a second of processor time
 * at each start (docs/decisions.md). Plain Node, for what runs before TypeScript can, and little of it: each command
 * comes through here.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, runTypeScript } from './bootstrap.mjs';
import { kept } from './kept.mjs';

/** What can be run, from the checkout on. */
export const PROGRAMS = ['agent/main.ts', 'api/main.ts', 'cli/main.ts', 'stack/main.ts', 'worker/main.ts'];

/** Returns the path of what Node loads for a program; makes it (a quarter of a second) where the sources are new. */
export async function loadable(program, { root = ROOT, programs = PROGRAMS } = {}) {
  const directory = kept(root) ?? (await (await import('./bundle.mjs')).bundle(root, programs));
  return join(directory, program.replace(/\.ts$/, '.mjs'));
}

/**
 * Runs a program in this process, by tsx where nothing can be written. Returns its module.
 * `sourceMaps`: stack traces point into the sources. Reading the maps costs more than a short command does.
 */
export async function runProgram(program, { root = ROOT, programs = PROGRAMS, sourceMaps = true } = {}) {
  let file;
  try {
    file = await loadable(program, { root, programs });
  } catch (error) {
    // A system call that failed: the checkout may be another user's.
    if (error?.syscall === undefined) throw error;
    return runTypeScript(pathToFileURL(join(root, program)));
  }
  if (sourceMaps) process.setSourceMapsEnabled(true);
  return import(pathToFileURL(file).href);
}
