/**
 * What `npm start` and `npm test` share before anything is installed: plain Node, no dependencies. Checks Node, installs
 * the packages when that is needed, and lets this same process run TypeScript from then on.
 */
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** `engines` of package.json; Node 20.19 is the first with everything that the libraries want. */
const NEEDED = [20, 19];
const INSTALL_PROGRESS_MS = 10_000;

/** Ends the process with a sentence when Node is too old. */
export function requireNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) return;
  console.error(
    `Deckhand needs Node ${NEEDED.join('.')} or later; this is ${version}. Install a newer Node and try again.`,
  );
  process.exit(2);
}

/** npm writes node_modules/.package-lock.json at the end of an install: absent or older than the lockfile means not installed. */
export function dependenciesAreCurrent(root = ROOT) {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  return statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs;
}

function npmCi(root) {
  // npm sets npm_execpath for what it runs; without it (`node stack/start.mjs`) the npm of the PATH.
  const npm = process.env.npm_execpath;
  const [command, args] = npm?.endsWith('.js') ? [process.execPath, [npm, 'ci']] : ['npm', ['ci']];
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args, '--no-fund', '--no-audit', '--loglevel=error'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Development packages are needed too, for tests and checks, whatever the caller's NODE_ENV says.
      env: { ...process.env, NODE_ENV: '', npm_config_omit: '' },
    });
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-4000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`npm ci ended with ${code}. Its last lines:\n${output}`)),
    );
  });
}

/** Runs `npm ci` when node_modules is missing or older than package-lock.json. Ends the process when that fails. */
export async function ensureDependencies(root = ROOT) {
  if (dependenciesAreCurrent(root)) return;
  const begun = Date.now();
  const seconds = () => Math.round((Date.now() - begun) / 1000);
  console.log('packages: installing (npm ci)');
  const progress = setInterval(() => console.log(`packages: still installing, ${seconds()} s`), INSTALL_PROGRESS_MS);
  try {
    await npmCi(root);
    console.log(`packages: installed in ${seconds()} s`);
  } catch (error) {
    console.error(`packages: ${error.message}\nIs there a network? Try \`npm ci\` by hand in ${root}.`);
    process.exit(1);
  } finally {
    clearInterval(progress);
  }
}

/** From here on this process, and no wrapper around it, imports TypeScript; signals and exit code are its own. */
export async function runTypeScript(moduleUrl) {
  const { register } = await import('tsx/esm/api');
  register();
  return import(moduleUrl.href);
}
