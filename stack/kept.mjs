/** What was bundled before, and whether the sources are still those. Plain Node, and little of it: each command asks. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A checkout's own, named after it: paths of its files are in what is made. */
export const placesOf = (root) => {
  const cache = join(root, 'node_modules', '.cache', 'deckhand');
  const name = Buffer.from(root).toString('base64url').slice(-160);
  return { cache, record: join(cache, `programs-${name}.json`) };
};

/** What the result depends on besides the sources: how it is made, and the packages' versions. */
export const circumstances = (root) =>
  ['bundle.mjs', 'kept.mjs', 'loadable.mjs']
    .map((name) => fileURLToPath(new URL(name, import.meta.url)))
    .concat(join(root, 'package-lock.json'));

/** As git does: what has the same size, times and inode is the same file. Another one is read. */
export const stampOf = (file) => {
  const { size, mtimeMs, ctimeMs, ino } = statSync(file);
  return `${size} ${mtimeMs} ${ctimeMs} ${ino}`;
};

/** The directory of what was made before, where no file has been touched since; else null. */
export function kept(root) {
  const { cache, record } = placesOf(root);
  try {
    const { directory, stamps } = JSON.parse(readFileSync(record, 'utf8'));
    const made = join(cache, directory);
    const same = Object.entries(stamps).every(([path, stamp]) => stampOf(resolve(root, path)) === stamp);
    return same && existsSync(made) ? made : null;
  } catch {
    return null;
  }
}
