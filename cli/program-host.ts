/** `deckhand host …` and `deckhand agent …`: what there is to say, and how it is explained. */
import { type Command, InvalidArgumentError } from 'commander';
import { CliError, EXIT } from './errors.ts';
import { type Act, timeoutMs } from './options.ts';

const BOUND = ['--timeout <duration>', 'wait this long for its deckies to go down (default: 150s)'] as const;

const portNumber = (text: string): number => {
  if (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('Write a port, 1 to 65535.');
};

const commaSeparated = (text: string): string[] =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');

const EXAMPLES = `
Examples:
  deckhand host enroll h1 192.0.2.7    prints the command that joins the host
  deckhand host list
  deckhand host show h1                its deckies, its certificate
  deckhand host check                  ask every agent now
  deckhand host drain h1 --yes         no new deckies, those that it has go down
  deckhand host drain h1 --move --yes  no new deckies, those that it has go to other hosts
  deckhand host remove h1 --yes        drain, then revoke its certificate
  deckhand host renew h1               a new certificate with its next heartbeat`;

export function addHosts(program: Command, act: Act): void {
  const host = program
    .command('host')
    .description('Enrol, show, drain and remove hosts that have an agent.')
    .addHelpText('after', EXAMPLES)
    .configureHelp({ showGlobalOptions: true });
  addEnroll(host, act);
  host
    .command('list')
    .description('List all hosts. The master asks each agent now.')
    .action((_options, command: Command) =>
      act(command, async (context) => (await import('./host.ts')).listHosts(context)),
    );
  host
    .command('show')
    .description('Show one host and its deckies.')
    .argument('<name>', 'host')
    .action((name: string, _options, command: Command) =>
      act(command, async (context) => (await import('./host.ts')).showHost(context, name)),
    );
  host
    .command('check')
    .description('Ask the agents now. The exit code is 2 when one does not answer.')
    .argument('[name]', 'host; all when left out')
    .action((name: string | undefined, _options, command: Command) =>
      act(command, async (context) => (await import('./host.ts')).checkHosts(context, name)),
    );
  host
    .command('renew')
    .description('Make a host renew its certificate.')
    .argument('<name>', 'host')
    .action((name: string, _options, command: Command) =>
      act(command, async (context) => (await import('./host.ts')).renewHost(context, name)),
    );
  addLeaving(host, act);
}

function addEnroll(host: Command, act: Act): void {
  host
    .command('enroll')
    .description('Print the command that joins a host. The key is made on the host and never leaves it.')
    .argument('<name>', 'name of the host')
    .argument('<address>', 'IP or DNS name at which the master reaches it')
    .option('--port <port>', 'port of the agent (default: 8765)', portNumber)
    .option('--sans <names>', 'further names for its certificate, separated by commas', commaSeparated)
    .option('--notes <text>', 'a note for people')
    .option('--ipvlan', 'use ipvlan for its deckies, not macvlan')
    .action((name: string, address: string, options, command: Command) =>
      act(command, async (context) => (await import('./host.ts')).enroll(context, name, address, options)),
    );
}

function addLeaving(host: Command, act: Act): void {
  host
    .command('drain')
    .description('Give a host no new deckies, and take down or move those that it has.')
    .argument('<name>', 'host')
    .option('--move', 'move its deckies to other hosts')
    .option('--undo', 'let it have new deckies again')
    .option(...BOUND, timeoutMs)
    .option('--yes', 'do not ask')
    .action((name: string, options, command: Command) =>
      act(command, async (context) => (await import('./host.ts')).drainHost(context, name, options)),
    );
  host
    .command('remove')
    .description('Take down or move its deckies, then forget the host and revoke its certificate.')
    .argument('<name>', 'host')
    .option('--move', 'move its deckies to other hosts')
    .option('--self-destruct', 'make the agent remove its containers and stop for good')
    .option(...BOUND, timeoutMs)
    .option('--yes', 'do not ask')
    .action((name: string, options, command: Command) =>
      act(command, async (context) => (await import('./host.ts')).removeHost(context, name, options)),
    );
}

/** Here for the help alone: cli/deckhand.mjs starts the agent as the process itself. */
export function addAgent(program: Command): void {
  program
    .command('agent')
    .description(
      'The program on a host: `agent join URL --token T --ca-fingerprint F`, then `agent run` (docs/agent.md).',
    )
    .argument('[arguments...]')
    .allowUnknownOption()
    .action(() => {
      throw new CliError(EXIT.couldNotAsk, '`agent` has to be the first word.', {
        advice: 'deckhand agent run, or deckhand agent join …',
      });
    });
}
