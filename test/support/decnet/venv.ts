/** A virtual environment with DECNET 1.0.0 from the package index, made once and kept in the cache. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Versions that are known to work together with it. */
const PACKAGES = [
  'decnet==1.0.0',
  'SQLAlchemy==2.0.49',
  'sqlmodel==0.0.38',
  'greenlet==3.4.0',
  'fastapi==0.135.3',
  'starlette==1.3.1',
  'uvicorn==0.44.0',
  'pydantic==2.12.5',
  'anyio==4.13.0',
  'httpx==0.28.1',
];

export type Environment = { readonly python: string } | { readonly missing: string };

/** The environment's Python, or why there is none: then the test is skipped, and the bench leaves DECNET out, saying so. */
export async function decnetEnvironment(): Promise<Environment> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'deckhand');
  const folder = join(cache, 'decnet-1.0.0');
  const python = join(folder, 'bin', 'python');
  const works = (): Promise<boolean> =>
    run(python, ['-c', 'import decnet.agent.app'], { env: { ...process.env, DECNET_MODE: 'agent' }, cwd: cache }).then(
      () => true,
      () => false,
    );
  if (existsSync(python) && (await works())) return { python };
  await rm(folder, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  try {
    await run('python3', ['-m', 'venv', folder]);
    await run(join(folder, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...PACKAGES], {
      timeout: 240_000,
    });
  } catch (error) {
    const broken = `${folder}.broken`;
    await rm(broken, { recursive: true, force: true });
    await rename(folder, broken).catch(() => undefined);
    return { missing: `DECNET 1.0.0 can’t be installed: ${String(error).split('\n')[0]}.` };
  }
  return (await works()) ? { python } : { missing: 'DECNET 1.0.0 was installed and can’t be imported.' };
}
