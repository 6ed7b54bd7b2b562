/** `deckhand events` and `deckhand audit`: what there is to say, and how it is explained. */
import type { Command } from 'commander';
import { audit, events } from './feed.ts';
import { wholeNumber } from './options.ts';
import type { Act } from './program-host.ts';

const EVENTS = `
Examples:
  deckhand events                          until Ctrl-C
  deckhand events --deployment 2f0c…       of one deployment
  deckhand events --since 1204 --json      all after the event 1204, a JSON document a line`;

const AUDIT = `
Examples:
  deckhand audit
  deckhand audit --user vera --json`;

export function addFeed(program: Command, act: Act): void {
  program
    .command('events')
    .description('What happens to deckies, as it happens; after a loss of the connection it goes on where it was.')
    .option('--decky <name>', 'of this decky')
    .option('--host <uuid>', 'of this host; `local` is the master’s own engine')
    .option('--deployment <id>', 'of this deployment')
    .option('--since <id>', 'begin after the event of this id')
    .option('--count <events>', 'end after so many', wholeNumber)
    .addHelpText('after', EVENTS)
    .action((options, command: Command) => act(command, (context) => events(context, options)));
  program
    .command('audit')
    .description('Who changed what, when, from where; newest first. For administrators.')
    .option('--user <name>', 'only what this user did')
    .option('--limit <count>', 'how many (default: 50, at most 200)', wholeNumber)
    .option('--cursor <cursor>', 'older ones, as the command printed it')
    .addHelpText('after', AUDIT)
    .action((options, command: Command) => act(command, (context) => audit(context, options)));
}
