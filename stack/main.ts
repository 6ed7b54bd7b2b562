/**
 * The program behind `npm start`.
 *
 * 1. a start: the stack comes up, the fleet is deployed, and it stays until Ctrl-C
 * 2. a second start: a stack runs already, so the fleet is deployed to it
 * 3. the `deckhand` command as a child
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { z } from 'zod';
import { lockHolder } from '../lib/file-lock.ts';
import { homeDirectory, readStackFile, type StackFile, StackHome } from './home.ts';
import { busNote } from './nats.ts';
import { parseOptions, refusedEnvironment, type StartOptions, USAGE } from './options.ts';
import { programArguments } from './root.ts';
import { Stack, type Started } from './stack.ts';
import { MARK, markOf } from './supervised-process.ts';
import { lockFile } from './supervisor.ts';
import { confirm, notes, type ScreenFacts, sayFor, urls } from './terminal.ts';

/** A second Ctrl-C this long after the first means: now. Sooner, it is the same one, which npm passes on as well. */
const IMPATIENT_MS = 1_500;

async function factsOf(started: Started, home: StackHome): Promise<ScreenFacts> {
  const { servers, secrets } = started;
  return {
    simulated: servers.docker.host ? null : (servers.docker.reason ?? 'there is no Docker Engine'),
    network: process.env.DECKHAND_NETWORK || 'bridge',
    bus: await busNote(servers.natsUrl),
    newPassword: secrets.passwordIsNew ? secrets.adminPassword : null,
    logs: home.path('logs'),
  };
}

/** Resolves with 130 on Ctrl-C, SIGTERM or a closed terminal; a later one ends the process at once, and the next start clears up. */
function interruption(command: CommandLine): Promise<number> {
  return new Promise((resolve) => {
    let first = 0;
    const interrupted = () => {
      if (first > 0 && Date.now() - first > IMPATIENT_MS) {
        console.log('Ended at once; the next start clears up.');
        process.exit(130);
      }
      if (first === 0) console.log('\nStopping.');
      first ||= Date.now();
      command.kill();
      resolve(130);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupted);
  });
}

/** Deploys, and takes everything down again. Returns the exit code; the last line is the count. */
async function once(stack: Stack, command: CommandLine, options: StartOptions, fleet: string): Promise<number> {
  const summary = await command.deploy(fleet, options.replace);
  const down = await command.run(['teardown', '--all', '--wait']);
  const purged = await command.run(['purge', '--yes'], true);
  await stack.stop();
  if (down !== 0) console.log('Not everything could be taken down; see above.');
  if (purged !== 0) console.log('What is left on the engine could not be removed: `npx deckhand purge` tries again.');
  const succeeded = (summary?.succeeded ?? 0) + (summary?.unchanged ?? 0);
  const failed = summary?.failed ?? 0;
  if (!summary) console.log('The deploy did not come to an end.');
  console.log(`${succeeded} succeeded, ${failed} failed`);
  return summary && failed === 0 && down === 0 && purged === 0 ? 0 : 1;
}

async function stay(stack: Stack, command: CommandLine, options: StartOptions, screen: () => string[]): Promise<void> {
  if (options.fleet !== null && !(await command.deploy(options.fleet, options.replace)))
    console.log('The deploy did not come to an end; `npx deckhand status` shows where it stands.');
  console.log(['', 'Deckhand is up. Ctrl-C stops it.', ...screen()].join('\n'));
  if (!stack.ownsDocker) return;
  console.log('  The Docker Engine is the stack’s own: deckies stop with it, and come back with the next start.');
}

async function run(stack: Stack, home: StackHome, command: CommandLine, options: StartOptions): Promise<number> {
  const started = await stack.start();
  const facts = await factsOf(started, home);
  for (const note of notes(facts)) console.log(note);
  if (options.once && options.fleet !== null) return once(stack, command, options, options.fleet);
  await stay(stack, command, options, () => urls(started.file, facts));
  return new Promise<number>(() => {
    setInterval(() => {}, 2 ** 30);
  });
}

async function supervise(stack: Stack, home: StackHome, options: StartOptions): Promise<number> {
  const command = new CommandLine(home);
  const interrupted = interruption(command);
  try {
    const code = await Promise.race([run(stack, home, command, options), interrupted]);
    const left = code === 130 && stack.hasEngine && !stack.ownsDocker;
    await stack.stop();
    if (left) console.log('Stopped. Deckies go on running: their Docker Engine was not ours to stop.');
    return code === 130 && stack.wasUp ? 0 : code;
  } catch (error) {
    console.error(`\nDeckhand could not start: ${(error as Error).message}\nWhat is missing: npx deckhand doctor`);
    await stack.stop();
    return 1;
  }
}

export async function main(args: readonly string[]): Promise<void> {
  const parsed = parseOptions(args);
  if (parsed.kind === 'help') {
    console.log(USAGE);
    process.exit(0);
  }
  if (parsed.kind === 'wrong') {
    console.error(`${parsed.sentence}\n\n${USAGE}`);
    process.exit(2);
  }
  const refused = refusedEnvironment(process.env);
  if (refused !== null) {
    console.error(refused);
    process.exit(2);
  }
  const { options } = parsed;
  const home = new StackHome(homeDirectory());
  const stack = Stack.open({
    home,
    environment: process.env,
    sayFor,
    confirm: (question) => confirm(question, options.yes),
    agents: options.agents,
  });
  process.exit(stack ? await supervise(stack, home, options) : await joinRunning(home, options));
}

// 2. A second start: it says that a stack runs, deploys the fleet to it, and ends

const POLL_MS = 500;

/** The other one may still be on its way up. Null when it ends before it was. */
async function whenUp(home: StackHome): Promise<StackFile | null> {
  for (let said = false; lockHolder(lockFile(home)); said = true) {
    const file = readStackFile(home.directory);
    if (file) return file;
    if (!said) console.log(`Another start in ${home.directory} is bringing the stack up; waiting for it.`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return null;
}

/** Exit code: 0, or 1 when the fleet did not come up whole, or 2 for --once, whose end would take down what others deployed. */
async function joinRunning(home: StackHome, options: StartOptions): Promise<number> {
  if (options.once) {
    console.error(
      `A stack runs in ${home.directory}, and --once would take its deckies down at the end. Stop it, or set DECKHAND_HOME to another directory.`,
    );
    return 2;
  }
  const file = await whenUp(home);
  if (!file) {
    console.error('The other start ended before its stack was up. Start again.');
    return 1;
  }
  console.log(`Deckhand is running already (pid ${lockHolder(lockFile(home))?.pid ?? 'unknown'}).`);
  const simulated = file.docker_host ? null : 'the running stack has no Docker Engine';
  const network = process.env.DECKHAND_NETWORK || 'bridge';
  const bus = await busNote(file.nats_url);
  console.log(urls(file, { simulated, network, bus, newPassword: null, logs: home.path('logs') }).join('\n'));
  const agents = file.processes.filter(({ name }) => name.startsWith('agent-')).length;
  if (options.agents > agents)
    console.log(
      `It has ${agents} agents; more are enrolled when it starts: stop it, and start with --agents ${options.agents}.`,
    );
  if (options.fleet === null) return 0;
  const summary = await new CommandLine(home).deploy(options.fleet, options.replace);
  return summary && summary.failed === 0 ? 0 : 1;
}

// 3. The `deckhand` command as a child: it deploys, shows the progress, and takes down

const summarySchema = z.object({
  succeeded: z.number().int(),
  failed: z.number().int(),
  unchanged: z.number().int(),
});
export type Summary = z.infer<typeof summarySchema>;

class CommandLine {
  readonly #home: StackHome;
  readonly #running = new Set<ChildProcess>();
  #killed = false;

  constructor(home: StackHome) {
    this.#home = home;
  }

  /** Null when the deploy never got to counting: refused, interrupted, unreachable; the command has said why. */
  async deploy(file: string, replace: boolean): Promise<Summary | null> {
    const summary = this.#home.path('deploy-summary.json');
    rmSync(summary, { force: true });
    await this.run([
      'deploy',
      file,
      '--wait',
      '--add-missing',
      '--summary-file',
      summary,
      ...(replace ? ['--replace'] : []),
    ]);
    if (!existsSync(summary)) return null;
    try {
      return summarySchema.parse(JSON.parse(readFileSync(summary, 'utf8')));
    } catch {
      return null;
    }
  }

  /** In a group of its own, so that Ctrl-C reaches it through us alone, after what it waits for has been stopped. Resolves with its exit code. */
  run(args: readonly string[], quiet = false): Promise<number> {
    const command = process.execPath;
    const { DECKHAND_API_URL: _url, DECKHAND_TOKEN: _token, ...environment } = process.env;
    const output = quiet ? 'ignore' : 'inherit';
    const child = spawn(command, programArguments('cli', ...args), {
      detached: true,
      stdio: ['ignore', output, output],
      env: {
        ...environment,
        DECKHAND_HOME: this.#home.directory,
        [MARK]: markOf(this.#home.instance, { name: 'deckhand', command }),
      },
    });
    this.#running.add(child);
    return new Promise((resolve) => {
      child.once('error', () => resolve(255));
      child.once('exit', (code) => {
        this.#running.delete(child);
        if (!this.#killed) resolve(code ?? 255);
      });
    });
  }

  /** For the end of the whole program: what waits for the command waits for ever. */
  kill(): void {
    this.#killed = true;
    for (const child of this.#running) child.kill('SIGKILL');
  }
}
