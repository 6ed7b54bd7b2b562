/** Files that a killed program left half-written beside the ones that it was about to replace. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** As pki/files.ts names them (`.<12 hex>.new`), and the writers of compose file and simulation (`.<UUID>`). */
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
