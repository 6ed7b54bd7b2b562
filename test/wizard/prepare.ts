/** What the test needs and may have to be made first: the page, built in a folder of its own, and a browser. */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const BUILD_LIMIT_MS = 10 * 60_000;
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Rejects with the end of what it printed. */
function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: BUILD_LIMIT_MS,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-4_000);
      });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`)),
    );
  });
}

/** Builds a copy of the page, which asks for `/api/v1` where it came from. Resolves with the folder of its files. */
export async function buildPage(source: string, directory: string): Promise<string> {
  const copy = join(directory, 'decnet_web');
  const unwanted = new Set(['node_modules', 'dist', '.git']);
  cpSync(source, copy, { recursive: true, filter: (path) => !unwanted.has(basename(path)) });
  await run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], copy);
  // Its types are DECNET's concern: only the bundle is wanted.
  await run('npx', ['vite', 'build'], copy, { VITE_API_URL: '/api/v1' });
  return join(copy, 'dist');
}

/** `DECKHAND_TEST_CHROMIUM` names a browser; else what is on the PATH; else Debian's package is installed, where we may. */
function findChromium(): string | null {
  const named = process.env.DECKHAND_TEST_CHROMIUM;
  if (named) return named;
  const folders = (process.env.PATH ?? '').split(':');
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path)) ?? null;
}

export async function openBrowser(): Promise<Browser> {
  if (findChromium() === null && process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0) {
    console.log('Installing Chromium (apt-get install chromium).');
    const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
    const install = ['install', '-y', '--no-install-recommends', 'chromium'];
    await run('apt-get', install, '/', quiet).catch(async () => {
      await run('apt-get', ['update'], '/', quiet);
      await run('apt-get', install, '/', quiet);
    });
  }
  const executablePath = findChromium();
  if (executablePath === null)
    throw new Error('There is no Chromium. Install it, or name one by DECKHAND_TEST_CHROMIUM=/path.');
  // The page asks the internet for a font and shows nothing until it is answered: here it is told at once that there is none.
  const offline = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1';
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', offline] });
}
