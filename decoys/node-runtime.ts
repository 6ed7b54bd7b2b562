/** The running Node as files of an image: the executable (stripped where `strip` is there) and the libraries it is linked to. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A file of this machine and its absolute path in the image. */
export interface RuntimeFile {
  readonly source: string;
  readonly target: string;
}

export const defaultCacheDir = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'deckhand');

/**
 * What tells this Node from another one, without reading its 90 MB: version, architecture, size and time of change. The
 * same in every process of the machine that runs the same executable.
 */
export async function nodeIdentity(executable = process.execPath): Promise<string> {
  const { size, mtimeMs } = await stat(executable);
  return [process.version, process.arch, size, Math.trunc(mtimeMs)].join(' ');
}

/** Whether an image can be made of the running Node: Linux, and not split into a `libnode` with files of its own elsewhere. */
export const canCarryNode = (): boolean =>
  process.platform === 'linux' && !(process.config.variables as { node_shared?: boolean }).node_shared;

/** The libraries that `ldd` names, dynamic loader included, under the paths it names. Empty for a static executable. */
export async function linkedLibraries(executable = process.execPath): Promise<readonly RuntimeFile[]> {
  const output = await run('ldd', [executable]).then(
    ({ stdout }) => stdout,
    () => '',
  );
  const targets = parseLdd(output);
  return Promise.all(targets.map(async (target) => ({ source: await realpath(target), target })));
}

/** Absolute paths in the output of glibc's or musl's `ldd`; the kernel's own (`linux-vdso.so.1`) has none. */
export function parseLdd(output: string): readonly string[] {
  const paths = output.split('\n').map((line) => /(?:=>\s*)?(\/\S+)\s+\(0x[0-9a-f]+\)/.exec(line)?.[1]);
  return [...new Set(paths.filter((path) => path !== undefined))];
}

/** The executable without symbols (a tenth smaller), made once and kept in the cache; the executable itself without `strip`. */
export async function strippedNode(cacheDir: string, executable = process.execPath): Promise<string> {
  const key = createHash('sha256')
    .update(await nodeIdentity(executable))
    .digest('hex')
    .slice(0, 12);
  const cached = join(cacheDir, 'node', `node-${process.version}-${process.arch}-${key}`);
  if (await exists(cached)) return cached;
  const making = `${cached}.${process.pid}.${Date.now()}.tmp`;
  try {
    await mkdir(dirname(cached), { recursive: true });
    await run('strip', ['-o', making, executable]);
    await run(making, ['--version']);
    await chmod(making, 0o755);
    await rename(making, cached);
    return cached;
  } catch {
    // No binutils, no room or no right to write: the unstripped one does as well.
    await rm(making, { force: true });
    return executable;
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
