/** The program behind `npm start`. */
import { CommandLine } from './command-line.ts';
import { homeDirectory, StackHome } from './home.ts';
import { busNote } from './nats.ts';
import { parseOptions, refusedEnvironment, type StartOptions, USAGE } from './options.ts';
import { notes, type ScreenFacts, urls } from './screen.ts';
import { joinRunning } from './second-start.ts';
import { Stack, type Started } from './stack.ts';
import { confirm, sayFor } from './terminal.ts';

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
