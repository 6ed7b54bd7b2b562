/** PostgreSQL refuses to run as root: the user that it runs as then, and places that this user can reach. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

const USER = 'postgres';
/** For what the database's user can't reach elsewhere, as when the checkout lies in /root. */
const OWN_PLACE = '/var/lib/deckhand';

const idOf = (flag: '-u' | '-g'): number | null => {
  const found = spawnSync('id', [flag, USER], { encoding: 'utf8' });
  return found.status === 0 ? Number(found.stdout.trim()) : null;
};

/** Null when this is not root: then the database runs as ourselves. The user is made when it is missing. */
export function databaseUser(): RunAs | null {
  if (process.getuid?.() !== 0) return null;
  if (idOf('-u') === null) {
    if (idOf('-g') === null) spawnSync('groupadd', ['--system', USER]);
    execFileSync('useradd', ['--system', '--gid', USER, '--no-create-home', '--shell', '/usr/sbin/nologin', USER]);
  }
  const [uid, gid] = [idOf('-u'), idOf('-g')];
  if (uid === null || gid === null)
    throw new Error(`PostgreSQL can’t run as root, and the user ${USER} could not be made.`);
  return { uid, gid };
}

const canUse = (path: string, user: RunAs): boolean =>
  spawnSync('/bin/sh', ['-c', 'test -r "$0" && test -x "$0"', path], { ...user, cwd: '/' }).status === 0;

/** `wanted` when the user can get there (made and given to it), else a directory of the instance in {@link OWN_PLACE}. */
export function reachableDirectory(wanted: string, instance: string, user: RunAs | null): string {
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
export function reachablePrograms(native: string, version: string, user: RunAs | null): string {
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
