/** An operator's own build contexts (DECKHAND_TEMPLATES): a folder per service, each with a Dockerfile. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readlink, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DeckhandError } from '../fleet/errors.ts';

export interface OperatorContext {
  /** Absolute path of the folder. */
  readonly context: string;
  /** `deckhand/<service>:<hash of the folder>`. */
  readonly image: string;
}

/** Services that may be built from another one's folder when they have none of their own. */
const BORROWED: Readonly<Record<string, string>> = { smtp_relay: 'smtp' };

/**
 * Reads all folders once and returns the look-up: a service's context, or undefined where the operator has none and the
 * built-in decoy stays. Throws ImageUnavailable when the folder can't be read.
 */
export async function loadOperatorContexts(
  templatesRoot: string,
): Promise<(service: string) => OperatorContext | undefined> {
  const root = resolve(templatesRoot);
  const hashes = new Map<string, string>();
  try {
    for (const entry of await readdir(root, { withFileTypes: true })) {
      const folder = join(root, entry.name);
      if (await isFile(join(folder, 'Dockerfile'))) hashes.set(entry.name, await hashFolder(folder));
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DeckhandError('ImageUnavailable', `The folder of DECKHAND_TEMPLATES can't be read: ${reason}`, {
      cause: error,
    });
  }
  return (service) => {
    const name = hashes.has(service) ? service : BORROWED[service];
    const hash = name === undefined ? undefined : hashes.get(name);
    return name === undefined || hash === undefined
      ? undefined
      : { context: join(root, name), image: `deckhand/${service}:${hash}` };
  };
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Paths, kinds, executable bits and contents; links by what they point to. Times do not count. */
async function hashFolder(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }));
  for (const { entry, path } of paths.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const name = relative(folder, path).split(sep).join('/');
    if (entry.isSymbolicLink()) hash.update(JSON.stringify(['link', name, await readlink(path)]));
    else if (entry.isFile()) await hashFile(hash, name, path);
  }
  return hash.digest('hex').slice(0, 16);
}

async function hashFile(hash: Hash, name: string, path: string): Promise<void> {
  const { mode, size } = await stat(path);
  hash.update(JSON.stringify(['file', name, (mode & 0o111) !== 0, size]));
  await pipeline(createReadStream(path), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) hash.update(chunk);
  });
}
