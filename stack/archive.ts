/** A release archive from a project's own site, believed only when its digest is the pinned one. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand, type Way } from './binaries.ts';

export interface Archive {
  readonly url: string;
  /** Hex SHA-256 of the .tar.gz. */
  readonly sha256: string;
  /** Path of the binary inside. */
  readonly member: string;
}

const DOWNLOAD_TIMEOUT_MS = 300_000;
/** No server of ours is larger; a longer answer is not what was asked for. */
const SIZE_LIMIT = 512 * 1024 * 1024;

async function download(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
  if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    parts.push(part);
    size += part.byteLength;
    if (size > SIZE_LIMIT) throw new Error(`${url} sends more than ${SIZE_LIMIT} bytes`);
  }
  return Buffer.concat(parts);
}

/** Null for a platform that no archive is pinned for: that way is closed. */
export function downloadArchive(title: string, archive: Archive | null): Way {
  return {
    title,
    async obtain(scratch) {
      if (!archive) throw new Error(`no archive is pinned for ${process.platform}/${process.arch}`);
      const bytes = await download(archive.url);
      const digest = createHash('sha256').update(bytes).digest('hex');
      if (digest !== archive.sha256)
        throw new Error(
          `${archive.url} has the digest ${digest}, not the pinned ${archive.sha256}; it was thrown away`,
        );
      const file = join(scratch, 'archive.tar.gz');
      writeFileSync(file, bytes);
      await runCommand('tar', ['-xzf', file, '-C', scratch, archive.member]);
      return join(scratch, archive.member);
    },
  };
}
