/**
 * `npm run docs:pictures`: makes the pictures of this folder from a real run. It starts a stack of its own in a temporary directory,
 * deploys examples/quickstart.ini, kills the worker with SIGKILL in the middle, and records what both terminals print.
 * Then it takes screenshots of the Temporal Web UI, takes everything down, and draws the recording as an animated SVG.
 * `npm run docs:pictures -- --draw` draws the last recording again and starts nothing.
 * It needs a Docker Engine, and Chromium for the screenshots (`--no-screens` leaves them out).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { draw } from './draw.mjs';

const ROOT = new URL('../../', import.meta.url);
const RECORDING = new URL('./kill-the-worker.json', import.meta.url);
const PICTURE = new URL('./kill-the-worker.svg', import.meta.url);
const START_MS = 600_000;

/** Lines of both terminals, each with its moment; those of the start stand at the beginning. */
const lines = [{ at: 0, terminal: 'stack', text: '$ npm start -- --fleet none' }];
const OF_THE_START = /^\S+ +ready|is up/;
let home = '';
let began = 0;
const say = (terminal, text) =>
  lines.push({ at: began === 0 ? 0 : Date.now() - began, terminal, text: text.replaceAll(home, '.deckhand') });

/** Runs a program of ours; what it prints is recorded once `began` is set. */
function run(terminal, args, env) {
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (text) => {
      process.stdout.write(`${terminal}: ${text}\n`);
      child.emit('said', text);
      if (terminal !== 'quiet' && (began > 0 || OF_THE_START.test(text))) say(terminal, text);
    });
  return child;
}

const ended = async (child) => (child.exitCode === null ? (await once(child, 'exit'))[0] : child.exitCode);

async function until(what, limitMs) {
  const end = Date.now() + limitMs;
  for (;;) {
    const found = what();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(200);
  }
}

function stackFile() {
  try {
    return JSON.parse(readFileSync(join(home, 'stack.json'), 'utf8'));
  } catch {
    return null;
  }
}

async function record() {
  home = mkdtempSync(join(tmpdir(), 'deckhand-pictures-'));
  const env = { ...process.env, DECKHAND_HOME: home, DECKHAND_PROJECT: 'pictures', NO_COLOR: '1' };
  const command = (terminal, ...args) => run(terminal, ['cli/deckhand.mjs', ...args], env);
  const stack = run('stack', ['stack/start.mjs', '--fleet', 'none', '--yes'], env);
  try {
    await until(() => stackFile() ?? stack.exitCode !== null, START_MS);
    if (stack.exitCode !== null) throw new Error('the stack did not start');
    // A first deploy builds the images: the one that is recorded shows the kill, not a build.
    if ((await ended(command('quiet', 'deploy', 'examples/quickstart.ini', '--wait'))) !== 0)
      throw new Error('the first deploy failed');
    await ended(command('quiet', 'teardown', '--all', '--wait'));
    await film(command);
    if (!process.argv.includes('--no-screens')) {
      const { takeScreens } = await import('./screens.mjs');
      await takeScreens(stackFile(), command, ended);
    }
    await ended(command('quiet', 'teardown', '--all', '--wait'));
  } finally {
    stack.kill('SIGINT');
    await ended(stack);
    rmSync(home, { recursive: true, force: true });
  }
}

/** The scene: a deploy of five deckies, and the end of the worker in the middle of it. */
async function film(command) {
  began = Date.now();
  say('deploy', '$ npx deckhand deploy examples/quickstart.ini --wait');
  const deploy = command('deploy', 'deploy', 'examples/quickstart.ini', '--wait');
  let running = 0;
  deploy.on('said', (text) => {
    if (text.includes(' running')) running += 1;
  });
  await until(() => running >= 3 || deploy.exitCode !== null, 120_000);
  const { pid } = stackFile().processes.find(({ name }) => name === 'worker');
  say('stack', `$ kill -9 ${pid}    # the worker`);
  process.kill(pid, 'SIGKILL');
  await ended(deploy);
  say('deploy', '$ npx deckhand deckies');
  await ended(command('deploy', 'deckies'));
  writeFileSync(RECORDING, `${JSON.stringify({ lines }, null, 1)}\n`);
  began = 0;
}

if (!process.argv.includes('--draw')) await record();
writeFileSync(PICTURE, draw(JSON.parse(readFileSync(RECORDING, 'utf8')).lines));
