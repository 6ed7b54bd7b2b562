/**
 * The command line: its commands, their options and how they are explained. `deckhand --help` should be enough to learn it.
 * What a command does is imported when it runs: a short command then loads a tenth of all this.
 */
import { Command } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { contextOf, type GlobalOptions } from './context.ts';
import type { ExitCode } from './errors.ts';
import type { Io } from './io.ts';
import { type Act, durationOption, intervalOrOff, TIMEOUT, timeoutMs, wholeNumber } from './options.ts';
import { addAgent, addHosts } from './program-host.ts';

const OVERVIEW = `
Which master the command asks:
  --api URL, or DECKHAND_API_URL; else the stack of this directory (.deckhand/stack.json, or --home DIR, or DECKHAND_HOME).
As which user:
  DECKHAND_TOKEN, or DECKHAND_USER and DECKHAND_PASSWORD; else the administrator of that stack.

Exit codes:
  0 all succeeded    1 refused    2 some failed    5 still running when the wait ended
  130 interrupted (the operation goes on)    255 could not ask (no stack, no connection, no credentials, wrong usage)

Examples:
  deckhand deploy examples/quickstart.ini --wait   bring a fleet up and watch it
  deckhand deckies                                 show the fleet, and why a decky is not up
  deckhand status                                  list recent deployments
  deckhand teardown --all --wait                   take everything down
  deckhand host enroll h1 192.0.2.7                print the command that joins a host
`;

/** `done` gets the exit code of the one command that runs. */
export function buildProgram(io: Io, done: (code: ExitCode) => void): Command {
  const program = new Command('deckhand')
    .description('Deploys fleets of decoys and reports what became of each.')
    .option('--api <url>', 'URL of the master’s API (environment: DECKHAND_API_URL)')
    .option(
      '--ca <file>',
      'certificate authorities to trust when the master speaks TLS, in PEM (environment: DECKHAND_CA)',
    )
    .option('--home <dir>', 'state directory of the stack to ask (environment: DECKHAND_HOME; default: .deckhand)')
    .option('--json', 'print one JSON document on standard output, errors too')
    .addHelpText('after', OVERVIEW)
    .configureHelp({ showGlobalOptions: true })
    .version(manifest.version, '-V, --version', 'print the version')
    .showHelpAfterError('(deckhand --help explains)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text.trimEnd()) });
  const act: Act = async (command, work) => {
    done(await work(contextOf(io, command.optsWithGlobals<GlobalOptions>())));
  };
  addDeploy(program, act);
  addCancel(program, act);
  addObservation(program, act);
  addMutate(program, act);
  addTeardown(program, act);
  addConvergence(program, act);
  addHosts(program, act);
  addFeed(program, act);
  addAgent(program);
  addHousekeeping(program, act);
  return program;
}

const subcommand = (program: Command, usage: string, description: string, examples: string): Command =>
  program.command(usage).description(description).addHelpText('after', `\nExamples:\n${examples.trimEnd()}`);

function addDeploy(program: Command, act: Act): void {
  subcommand(
    program,
    'deploy',
    'Deploy the fleet of an INI file. It is added to what is there; with --replace the file becomes the whole fleet.',
    `  deckhand deploy fleet.ini                   send it and return at once
  deckhand deploy fleet.ini --wait            stay until each decky has succeeded or failed
  deckhand deploy fleet.ini --replace --wait  make the fleet what the file says; what is unchanged is not touched
  deckhand deploy fleet.ini --add-missing --wait
  generate-fleet | deckhand deploy - --wait --timeout 5m --json`,
  )
    .argument('<file>', 'INI file, or - for standard input')
    .option('--replace', 'take down what the file does not name')
    .option('--add-missing', 'leave out deckies that are there already (ignored with --replace)')
    .option('--wait', 'wait until every decky has ended')
    .option(...TIMEOUT, timeoutMs)
    .option(
      '--max-parallel <hosts>',
      'work on this many hosts at the same time (default: 25 %, at least 8)',
      wholeNumber,
    )
    .option(
      '--min-healthy-time <duration>',
      'require containers to stay up this long, 0 to 24h (default: 3s)',
      durationOption('min_healthy_time'),
    )
    .option(
      '--healthy-deadline <duration>',
      'require them to be healthy by then, 1s to 24h (default: 5m)',
      durationOption('healthy_deadline'),
    )
    .option(
      '--progress-deadline <duration>',
      'fail a decky that makes no progress for this long, 1s to 24h (default: 10m)',
      durationOption('progress_deadline'),
    )
    .option(
      '--host-lost-after <duration>',
      'give up a host that is unreachable for this long, 1s to 24h (default: 90s)',
      durationOption('host_lost_after'),
    )
    .option(
      '--idempotency-key <key>',
      'send under this key: the same key and file are one deploy, however often they are sent',
    )
    .option('--summary-file <file>', 'write {"succeeded":n,"failed":n,"unchanged":n} there once all have ended')
    .action((file: string, options, command: Command) =>
      act(command, async (context) => (await import('./deploy.ts')).deploy(context, file, options)),
    );
}

function addCancel(program: Command, act: Act): void {
  subcommand(
    program,
    'cancel',
    'Cancel what is open of a deployment. Deckies that have succeeded stay. Half-made ones are removed, or get their last good version back.',
    `  deckhand cancel 2f0c…                ask for it and return at once
  deckhand cancel 2f0c… --wait         stay until every decky has ended`,
  )
    .argument('<id>', 'deployment id')
    .option('--wait', 'wait until every decky has ended')
    .option(...TIMEOUT, timeoutMs)
    .action((id: string, options, command: Command) =>
      act(command, async (context) => (await import('./fleet.ts')).cancel(context, id, options)),
    );
}

function addObservation(program: Command, act: Act): void {
  subcommand(
    program,
    'status',
    'List recent deployments. With an id, show its deckies and what it waits for.',
    `  deckhand status
  deckhand status 2f0c…                the whole id, as \`status\` and \`deploy\` print it
  deckhand status 2f0c… --wait         follow it until it has ended`,
  )
    .argument('[id]', 'deployment id')
    .option('--wait', 'follow it until every decky has ended')
    .option(...TIMEOUT, timeoutMs)
    .option('--limit <count>', 'list this many recent ones (default: 20)', wholeNumber)
    .action((id: string | undefined, options, command: Command) =>
      act(command, async (context) => (await import('./fleet.ts')).status(context, id, options)),
    );
  subcommand(
    program,
    'deckies',
    'Show the fleet: state, address, services and last error of each decky.',
    `  deckhand deckies
  deckhand deckies --json`,
  ).action((_options, command: Command) =>
    act(command, async (context) => (await import('./fleet.ts')).showFleet(context)),
  );
}

function addMutate(program: Command, act: Act): void {
  subcommand(
    program,
    'mutate',
    'Give a decky other services: those named, or one to three drawn at random. If they do not come up, the old ones come back.',
    `  deckhand mutate web-01 --wait
  deckhand mutate web-01 --services http,ssh --wait`,
  )
    .argument('<name>', 'decky')
    .option('--services <list>', 'its services from now on, separated by commas', (text: string) =>
      text.split(',').map((name) => name.trim()),
    )
    .option('--wait', 'wait until it has ended')
    .option(...TIMEOUT, timeoutMs)
    .action((name: string, options, command: Command) =>
      act(command, async (context) => (await import('./fleet.ts')).mutate(context, name, options)),
    );
  subcommand(
    program,
    'mutate-interval',
    'Set how often a decky mutates by itself: 30m, 5d, 2M, 1y, or off for never.',
    `  deckhand mutate-interval web-01 30m
  deckhand mutate-interval web-01 off`,
  )
    .argument('<name>', 'decky')
    .argument('<interval>', 'minutes (m), days (d), months (M), years (y), or off', intervalOrOff)
    .action((name: string, interval: string, _options, command: Command) =>
      act(command, async (context) => (await import('./fleet.ts')).mutateInterval(context, name, interval)),
    );
}

function addTeardown(program: Command, act: Act): void {
  subcommand(
    program,
    'teardown',
    'Take deckies down and free their addresses.',
    `  deckhand teardown web-01 web-02 --wait
  deckhand teardown --host h1 --wait
  deckhand teardown --all --wait`,
  )
    .argument('[names...]', 'deckies')
    .option('--all', 'take all deckies down')
    .option('--host <name>', 'take down all deckies of this host')
    .option('--wait', 'wait until they are down')
    .option(...TIMEOUT, timeoutMs)
    .action((names: string[], options, command: Command) =>
      act(command, async (context) => (await import('./teardown.ts')).teardown(context, names, options)),
    );
}

const DRIFT = `
Examples:
  deckhand drift
  deckhand drift --host h1 --json`;

const RECONCILE = `
Examples:
  deckhand reconcile --dry-run             show what would be done
  deckhand reconcile --wait                repair every decky that drifts
  deckhand reconcile web-01 --wait         repair this decky, if it drifts
  deckhand reconcile --host h1`;

const POWER = {
  stop: {
    description: 'Stop a decky until it is started. No deploy of other deckies and no reconcile starts it.',
    examples: '\nExamples:\n  deckhand stop web-01 --wait',
  },
  start: {
    description: 'Start a decky that was stopped. It comes up as it is in the fleet.',
    examples: '\nExamples:\n  deckhand start web-01 --wait',
  },
};

function addConvergence(program: Command, act: Act): void {
  program
    .command('drift')
    .description('Show how what runs differs from the fleet, as last observed.')
    .option('--decky <name>', 'only of this decky')
    .option('--host <name>', 'only of this host, by name or uuid; `local` is the master’s own engine')
    .addHelpText('after', DRIFT)
    .action((options, command: Command) =>
      act(command, async (context) => (await import('./convergence.ts')).drift(context, options)),
    );
  program
    .command('reconcile')
    .description('Bring deckies that drift back to what the fleet says. No other decky is touched.')
    .argument('[names...]', 'only these deckies')
    .option('--dry-run', 'only show what would be done')
    .option('--host <name>', 'only on this host, by name or uuid; `local` is the master’s own engine')
    .option('--wait', 'wait until it has ended')
    .option(...TIMEOUT, timeoutMs)
    .addHelpText('after', RECONCILE)
    .action((names: string[], options, command: Command) =>
      act(command, async (context) => (await import('./convergence.ts')).reconcile(context, names, options)),
    );
  program
    .command('reconcile-interval')
    .description('Set how often drift is repaired by itself: 5m, 1d, 1M, 1y, or off for by hand only.')
    .argument('<interval>', 'minutes (m), days (d), months (M), years (y), or off', intervalOrOff)
    .addHelpText('after', '\nExamples:\n  deckhand reconcile-interval 5m\n  deckhand reconcile-interval off')
    .action((interval: string, _options, command: Command) =>
      act(command, async (context) => (await import('./convergence.ts')).reconcileInterval(context, interval)),
    );
  for (const kind of ['stop', 'start'] as const)
    program
      .command(kind)
      .description(POWER[kind].description)
      .argument('<name>', 'decky')
      .option('--wait', 'wait until it has ended')
      .option(...TIMEOUT, timeoutMs)
      .addHelpText('after', POWER[kind].examples)
      .action((name: string, options, command: Command) =>
        act(command, async (context) => (await import('./convergence.ts')).power(context, kind, name, options)),
      );
}

const EVENTS = `
Examples:
  deckhand events                          print them until Ctrl-C
  deckhand events --deployment 2f0c…       print those of one deployment
  deckhand events --since 1204 --json      print all after event 1204, one JSON document per line`;

const AUDIT = `
Examples:
  deckhand audit
  deckhand audit --user vera --json`;

function addFeed(program: Command, act: Act): void {
  program
    .command('events')
    .description('Print what happens to deckies, as it happens. After a lost connection it continues where it stopped.')
    .option('--decky <name>', 'only of this decky')
    .option('--host <uuid>', 'only of this host; `local` is the master’s own engine')
    .option('--deployment <id>', 'only of this deployment')
    .option('--since <id>', 'begin after the event of this id')
    .option('--count <events>', 'end after this many events', wholeNumber)
    .addHelpText('after', EVENTS)
    .action((options, command: Command) =>
      act(command, async (context) => (await import('./feed.ts')).events(context, options)),
    );
  program
    .command('audit')
    .description('List who changed what, when and from where, newest first. Only administrators may ask.')
    .option('--user <name>', 'list only what this user did')
    .option('--limit <count>', 'list this many (default: 50, at most 200)', wholeNumber)
    .option('--cursor <cursor>', 'list older ones; the command prints the cursor')
    .addHelpText('after', AUDIT)
    .action((options, command: Command) =>
      act(command, async (context) => (await import('./feed.ts')).audit(context, options)),
    );
}

function addHousekeeping(program: Command, act: Act): void {
  subcommand(
    program,
    'open',
    'Print the URLs of the API, its documentation, Temporal, NATS and the swarm controller.',
    `  deckhand open
  deckhand open --browser              open the API’s page`,
  )
    .option('--browser', 'open the API’s page in a browser')
    .action((options, command: Command) =>
      act(command, async (context) => (await import('./stack.ts')).open(context, options)),
    );
  subcommand(
    program,
    'doctor',
    'Show what this machine has for a stack, what is missing, and what to do.',
    `  deckhand doctor
  deckhand doctor --json`,
  ).action((_options, command: Command) =>
    act(command, async (context) => (await import('./stack.ts')).doctor(context)),
  );
  subcommand(
    program,
    'purge',
    'Remove every container and network of this instance from its engine, whatever the master’s database says.',
    `  deckhand purge                       asks first
  deckhand purge --yes
  deckhand purge --yes --state         and the state directory, when the stack is stopped`,
  )
    .option('--yes', 'do not ask')
    .option('--state', 'remove the state directory too; refused while the stack runs')
    .action((options, command: Command) =>
      act(command, async (context) => (await import('./purge.ts')).purge(context, options)),
    );
}
