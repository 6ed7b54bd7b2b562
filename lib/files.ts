/**
 * Files that are never half-written.
 *
 * 1. Keys and certificates: files 0600 in directories 0700, which several programs may write at once.
 * 2. What a killed program left half-written beside the file that it was about to replace.
 * 3. Small state files, read by a schema. One that can't be read is set aside, and is never an obstacle.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { z } from 'zod';

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
  await createFile(path, text);
  return readFile(path, 'utf8');
}

/** Makes the whole file appear at once; leaves one that is there. */
async function createFile(path: string, text: string): Promise<void> {
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
}

/** Writes the file, in the place of one that may be there: a reader sees the old text or the new one. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = besides(path);
  try {
    await writeDurably(fresh, text);
    await rename(fresh, path);
    await syncDirectory(dirname(path));
  } finally {
    await rm(fresh, { force: true });
  }
}

/**
 * Replaces a file that still holds `before`, and returns the text that stands there now: of several programs that replace
 * the same text one wins, and the others get its text. What a killed program left is finished by the next one.
 */
export async function replaceOnce(path: string, before: string, text: string): Promise<string> {
  const successor = `${path}.${createHash('sha256').update(before).digest('hex').slice(0, 16)}.next`;
  await createFile(successor, text);
  const winner = await readIfThere(successor);
  // The successor goes after the file was replaced: one who comes late, and makes another, sees it here.
  if (winner !== null && (await readIfThere(path)) === before) await replaceFile(path, winner);
  await rm(successor, { force: true });
  return readFile(path, 'utf8');
}

// 2. Leftovers

/** As part 1 names them (`.<12 hex>.new`), and the writers of compose file and simulation (`.<UUID>`). */
const ASIDE = /\.(?:[0-9a-f]{12}\.new|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** Removes them from directories that belong to the caller alone. Says what it removed; a directory that is missing has none. */
export async function removeLeftovers(directories: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    directories.map(async (directory) => {
      const names = await readdir(directory).catch(() => []);
      return names.filter((name) => ASIDE.test(name)).map((name) => join(directory, name));
    }),
  );
  await Promise.all(found.flat().map((path) => rm(path, { force: true })));
  return found.flat();
}

// 3. Small state files

/** Replaces `path` in one step: a reader, or a start after a crash, sees the old content or the new, never a part. */
export function writeFileAtomically(path: string, text: string, mode = 0o600): void {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  const file = openSync(temporary, 'wx', mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

export function writeJson(path: string, value: unknown, mode = 0o600): void {
  writeFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`, mode);
}

/** Null when the file is absent or not what the schema says; a broken one is renamed to `<path>.broken` so that it can be looked at. */
export function readJson<T extends z.ZodType>(path: string, schema: T): z.infer<T> | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    renameSync(path, `${path}.broken`);
    return null;
  }
}
