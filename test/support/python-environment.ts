/** Virtual environments with packages of the package index, made once and kept in the cache. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const INSTALL_MS = 240_000;

export interface PythonPackages {
  /** "DECNET 1.0.0": what sentences call it. */
  readonly name: string;
  /** Below the cache. */
  readonly folder: string;
  readonly packages: readonly string[];
  /** A program of the environment's `bin`, and the arguments with which it succeeds when all is well. */
  readonly program: string;
  readonly check: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The program's path, or a sentence why there is none: then tests are skipped. What could not be installed is kept as `….broken`. */
export async function pythonEnvironment(
  wanted: PythonPackages,
): Promise<{ readonly program: string } | { readonly missing: string }> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'deckhand');
  const folder = join(cache, wanted.folder);
  const program = join(folder, 'bin', wanted.program);
  const works = (): Promise<boolean> =>
    run(program, [...wanted.check], { env: { ...process.env, ...wanted.env }, cwd: cache }).then(
      () => true,
      () => false,
    );
  if (existsSync(program) && (await works())) return { program };
  await rm(folder, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  try {
    await run('python3', ['-m', 'venv', folder]);
    const pip = join(folder, 'bin', 'pip');
    await run(pip, ['install', '--quiet', '--disable-pip-version-check', ...wanted.packages], { timeout: INSTALL_MS });
  } catch (error) {
    const broken = `${folder}.broken`;
    await rm(broken, { recursive: true, force: true });
    await rename(folder, broken).catch(() => undefined);
    return { missing: `${wanted.name} can’t be installed: ${String(error).split('\n')[0]}.` };
  }
  return (await works()) ? { program } : { missing: `${wanted.name} was installed and does not work.` };
}
