/** NATS: NATS_URL, else a server with JetStream from the PATH, the cache, built by Go, the project's archive, or Debian's package. */

import { createHash } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { inspectBus } from '../adapters/nats/bus.ts';
import { connectNats } from '../adapters/nats/stream.ts';
import {
  cachedBinary,
  findOnPath,
  goInstall,
  isExecutable,
  provideBinary,
  runCommand,
  type Say,
  type Way,
} from './binaries.ts';
import { LOOPBACK } from './claims.ts';
import type { Provided, StackContext } from './context.ts';

const NATS_VERSION = '2.15.2';

/** Digests as the project's own image recipes pin them (nats-io/nats-docker, 2.14.x/alpine3.22); tried only where Go is missing. */
const ARCHIVE_VERSION = '2.14.5';
const ARCHIVE_DIGESTS: Readonly<Record<string, string>> = {
  'linux-amd64': '5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355',
  'linux-arm64': '673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c',
};

function natsArchive(): Archive | null {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const sha256 = ARCHIVE_DIGESTS[platform];
  const name = `nats-server-v${ARCHIVE_VERSION}-${platform}`;
  const url = `https://github.com/nats-io/nats-server/releases/download/v${ARCHIVE_VERSION}/${name}.tar.gz`;
  return sha256 ? { url, sha256, member: `${name}/nats-server` } : null;
}

/** Unpacked, not installed: that needs no root, and starts no service of the system. */
const debianPackage: Way = {
  title: 'Debian’s package nats-server',
  async obtain(scratch) {
    if (!findOnPath('apt-get') || !findOnPath('dpkg-deb')) throw new Error('this is no Debian');
    await runCommand('apt-get', ['download', 'nats-server'], { cwd: scratch });
    const file = readdirSync(scratch).find((name) => name.endsWith('.deb'));
    if (!file) throw new Error('apt-get downloaded nothing');
    await runCommand('dpkg-deb', ['-x', join(scratch, file), scratch]);
    const candidates = ['usr/sbin/nats-server', 'usr/bin/nats-server'].map((path) => join(scratch, path));
    const binary = candidates.find(isExecutable);
    if (!binary) throw new Error(`${file} holds no nats-server`);
    return binary;
  },
};

const natsWays: readonly Way[] = [
  goInstall('github.com/nats-io/nats-server/v2', `v${NATS_VERSION}`, 'nats-server'),
  downloadArchive(`the release archive of nats-server ${ARCHIVE_VERSION}`, natsArchive()),
  debianPackage,
];

async function findNats(say: Say): Promise<{ path: string; origin: string }> {
  const onPath = findOnPath('nats-server');
  if (onPath) return { path: onPath, origin: `embedded, ${onPath}` };
  const path = await provideBinary('nats-server', NATS_VERSION, natsWays, say);
  return { path, origin: 'embedded' };
}

export const locateNats = (): string | null =>
  findOnPath('nats-server') ?? [cachedBinary('nats-server', NATS_VERSION)].find(isExecutable) ?? null;

export async function provideNats(context: StackContext): Promise<Provided<string>> {
  const external = context.environment.NATS_URL;
  if (external) return { process: null, origin: 'external, NATS_URL', value: external };
  const { path, origin } = await findNats(context.sayFor('nats'));
  const port = await context.ports.choose('nats', context.survives('nats'));
  const url = `nats://${LOOPBACK}:${port}`;
  const name = `deckhand-${context.home.instance}`;
  return {
    origin,
    value: url,
    process: {
      name: 'nats',
      command: path,
      args: ['-a', LOOPBACK, '-p', String(port), '-n', name, '-js', '-sd', context.home.path('nats')],
      adoptable: true,
      stopTimeoutMs: 10_000,
      ready: () => answersWithJetStream(url, name),
    },
  };
}

/** Throws why not; false when it is another server than the one of that name. */
async function answersWithJetStream(url: string, name?: string): Promise<boolean> {
  const connection = await connectNats(url, { reconnect: false, timeout: 2_000 });
  try {
    await (await jetstreamManager(connection)).getAccountInfo();
    return name === undefined || connection.info?.server_name === name;
  } finally {
    await connection.close();
  }
}

/** What an operator should know of the events' bus; null where all is well. */
export async function busNote(url: string): Promise<string | null> {
  try {
    return (await inspectBus(url)).smaller;
  } catch (error) {
    return (error as Error).message;
  }
}

// The project's release archive, trusted only when its digest is the pinned one

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
