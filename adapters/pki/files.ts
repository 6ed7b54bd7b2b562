/** Keys and certificates on disk: files 0600 in directories 0700, never half-written, several programs at once. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const besides = (path: string): string => `${path}.${randomBytes(6).toString('hex')}.new`;
const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}

export const makeDirectory = (path: string): Promise<unknown> => mkdir(path, { recursive: true, mode: DIRECTORY_MODE });

/** The file's text; null where there is no file. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Writes the file unless there is one, and returns the text that stands there now: of several writers one wins. */
export async function writeOnce(path: string, text: string): Promise<string> {
  const fresh = besides(path);
  try {
    await writeDurably(fresh, text);
    await link(fresh, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(fresh, { force: true });
  }
  return readFile(path, 'utf8');
}

/** Puts a directory with these files in the place of `path`. A reader sees all of the old files or all of the new ones, or none for a moment. */
export async function replaceDirectory(path: string, files: Readonly<Record<string, string>>): Promise<void> {
  const fresh = besides(path);
  const old = besides(path);
  await mkdir(fresh, { mode: DIRECTORY_MODE });
  try {
    for (const [name, text] of Object.entries(files)) await writeDurably(join(fresh, name), text);
    await syncDirectory(fresh);
    await rename(path, old).catch(unless('ENOENT'));
    // Another program may have put its own there meanwhile: that one is as good.
    await rename(fresh, path).catch(unless('ENOTEMPTY', 'EEXIST'));
    await syncDirectory(dirname(path));
  } finally {
    await rm(fresh, { recursive: true, force: true });
    await rm(old, { recursive: true, force: true });
  }
}

const unless =
  (...codes: readonly string[]) =>
  (error: unknown): void => {
    if (!codes.includes(codeOf(error))) throw error;
  };
