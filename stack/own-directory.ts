/** Directories whose files programs with more rights than others believe in. */
import { lstatSync, mkdirSync } from 'node:fs';

/**
 * Makes a directory that nobody else can write to, or finds it. Below a place that is everybody's, as /tmp is, another may have
 * made it first and put files or sockets of theirs there: then it throws, and says what to do.
 */
export function ownDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = lstatSync(path);
  const isOurs = found.isDirectory() && found.uid === process.geteuid?.() && (found.mode & 0o022) === 0;
  if (!isOurs)
    throw new Error(
      `${path} belongs to another user, or others can write to it. Remove it, or name a shorter DECKHAND_HOME.`,
    );
}
