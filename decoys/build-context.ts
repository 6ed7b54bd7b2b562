/** Docker build contexts as tar streams. Times and owners are fixed, so that the same files make the same context. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';

export type ContextEntry =
  | { readonly path: string; readonly text: string; readonly mode?: number }
  | { readonly path: string; readonly file: string; readonly mode?: number }
  | { readonly path: string; readonly directory: true; readonly mode?: number };

const EPOCH = new Date(0);

/** Starts to stream the entries; an entry that can't be read destroys the stream with the error. */
export function tarOf(entries: readonly ContextEntry[]): NodeJS.ReadableStream {
  const tar = pack();
  const fill = async (): Promise<void> => {
    for (const entry of entries) await add(tar, entry);
    tar.finalize();
  };
  fill().catch((error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))));
  return Readable.from(tar, { objectMode: false });
}

async function add(tar: Pack, entry: ContextEntry): Promise<void> {
  const header = { name: entry.path, mtime: EPOCH, uid: 0, gid: 0 };
  if ('directory' in entry) {
    tar.entry({ ...header, type: 'directory', mode: entry.mode ?? 0o755 });
  } else if ('text' in entry) {
    tar.entry({ ...header, mode: entry.mode ?? 0o644 }, entry.text);
  } else {
    const { size } = await stat(entry.file);
    await pipeline(createReadStream(entry.file), tar.entry({ ...header, mode: entry.mode ?? 0o644, size }));
  }
}
