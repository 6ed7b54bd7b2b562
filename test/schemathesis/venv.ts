/** A virtual environment with Schemathesis from the package index, made once and kept in the cache. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const VERSION = '4.32.5';
/** What decides which requests are made, pinned beside it. */
const PACKAGES = [`schemathesis==${VERSION}`, 'hypothesis==6.170.17', 'jsonschema-rs==0.60.3', 'requests==2.34.2'];

export type Schemathesis = { readonly command: string } | { readonly missing: string };

/** The command, or a sentence why there is none: then the test is skipped. */
export async function schemathesis(): Promise<Schemathesis> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'deckhand');
  const folder = join(cache, `schemathesis-${VERSION}`);
  const command = join(folder, 'bin', 'st');
  const works = (): Promise<boolean> =>
    run(command, ['--version']).then(
      () => true,
      () => false,
    );
  if (existsSync(command) && (await works())) return { command };
  await rm(folder, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  try {
    await run('python3', ['-m', 'venv', folder]);
    await run(join(folder, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...PACKAGES], {
      timeout: 240_000,
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    return { missing: `Schemathesis ${VERSION} can’t be installed: ${String(error).split('\n')[0]}.` };
  }
  return (await works()) ? { command } : { missing: `Schemathesis ${VERSION} was installed and does not start.` };
}
