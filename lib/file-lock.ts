/** A lock between processes: a file that names its holder. The lock of a holder that no longer runs is taken over. */
import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { identify, isRunning, type ProcessIdentity } from './process-table.ts';

const POLL_MS = 200;

function readHolder(path: string): ProcessIdentity | null {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const { pid, startedAt } = parsed as ProcessIdentity;
    return typeof pid === 'number' && typeof startedAt === 'string' ? { pid, startedAt } : null;
  } catch {
    return null;
  }
}

/** The process that holds the lock, or null when nobody does (or the file is a leftover). */
export function lockHolder(path: string): ProcessIdentity | null {
  const holder = readHolder(path);
  return holder && isRunning(holder) ? holder : null;
}

/**
 * Takes the lock, or returns null when somebody who runs holds it; else a function that gives it back. The file appears with
 * its content (hard link), so nobody reads half of it.
 */
export function tryLock(path: string): (() => void) | null {
  const own = identify(process.pid);
  const mine = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(mine, JSON.stringify(own), { mode: 0o600 });
  try {
    for (let round = 0; round < 5; round++) {
      try {
        linkSync(mine, path);
        return () => rmSync(path, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      if (lockHolder(path)) return null;
      setAside(path, `${mine}.stale`);
    }
    return null;
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Renames first and looks again: of two that find the same leftover, one wins, and a lock taken in between is put back. */
function setAside(path: string, aside: string): void {
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (lockHolder(aside)) {
    try {
      linkSync(aside, path);
    } catch {
      // A third one took the lock meanwhile; the holder that lost it here ends first or shares a build, never a state directory.
    }
  }
  rmSync(aside, { force: true });
}

/** Waits for the lock as long as it takes; `onWait` is called once when somebody else has it. */
export async function lock(path: string, onWait: (holder: ProcessIdentity) => void): Promise<() => void> {
  for (let said = false; ; ) {
    const release = tryLock(path);
    if (release) return release;
    const holder = lockHolder(path);
    if (holder && !said) {
      said = true;
      onWait(holder);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
