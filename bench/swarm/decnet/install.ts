/** DECNET's package in a virtual environment of the bench's own, kept between runs; never installed anywhere else. */
import { execFile } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const DECNET_VERSION = '1.0.0';
/** Versions known to work with it; it pins none itself. */
const PACKAGES = [
  `decnet==${DECNET_VERSION}`,
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
const INSTALL_TIMEOUT_MS = 300_000;

/** The Python to run it with, or a sentence that says why there is none. */
export async function findDecnet(say: (text: string) => void): Promise<{ python: string } | { reason: string }> {
  const directory = join(homedir(), '.cache', 'deckhand', 'bench', `decnet-${DECNET_VERSION}`);
  const python = join(directory, 'bin', 'python');
  const complete = join(directory, 'complete');
  if (existsSync(complete)) return { python };
  say(`installing DECNET ${DECNET_VERSION} into a virtual environment`);
  try {
    rmSync(directory, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', directory]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES];
    await run(python, pip, { timeout: INSTALL_TIMEOUT_MS });
    writeFileSync(complete, '');
    return { python };
  } catch (error) {
    const [first] = (error as Error).message.split('\n');
    return { reason: `DECNET ${DECNET_VERSION} could not be installed: ${first}` };
  }
}
