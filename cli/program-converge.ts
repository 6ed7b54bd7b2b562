/** `deckhand drift`, `reconcile`, `stop`, `start` and `reconcile-interval`: what there is to say, and how it is explained. */
import type { Command } from 'commander';
import { drift, power, reconcile, reconcileInterval } from './convergence.ts';
import { intervalOrOff, timeoutMs } from './options.ts';
import type { Act } from './program-host.ts';

const TIMEOUT = [
  '--timeout <duration>',
  'give up waiting after this long; the operation goes on (default: 15m)',
] as const;

const DRIFT = `
Examples:
  deckhand drift
  deckhand drift --host h1 --json`;

const RECONCILE = `
Examples:
  deckhand reconcile --dry-run             say what would be done
  deckhand reconcile --wait                mend all that drifts
  deckhand reconcile web-01 --wait         mend this decky, if it drifts
  deckhand reconcile --host h1`;

const POWER = {
  stop: {
    description: 'Stop a decky until it is started: no deploy of others and no reconcile starts it.',
    examples: '\nExamples:\n  deckhand stop web-01 --wait',
  },
  start: {
    description: 'Start a decky that was stopped; it comes up as it is in the fleet.',
    examples: '\nExamples:\n  deckhand start web-01 --wait',
  },
};

export function addConvergence(program: Command, act: Act): void {
  program
    .command('drift')
    .description('How what runs differs from what should, as last seen.')
    .option('--decky <name>', 'of this decky')
    .option('--host <name>', 'of this host, by name or uuid; `local` is the master’s own engine')
    .addHelpText('after', DRIFT)
    .action((options, command: Command) => act(command, (context) => drift(context, options)));
  program
    .command('reconcile')
    .description('Bring what drifts back to what it should be; nobody else is touched.')
    .argument('[names...]', 'these deckies only')
    .option('--dry-run', 'say only what would be done')
    .option('--host <name>', 'on this host only, by name or uuid; `local` is the master’s own engine')
    .option('--wait', 'wait until it has ended')
    .option(...TIMEOUT, timeoutMs)
    .addHelpText('after', RECONCILE)
    .action((names: string[], options, command: Command) =>
      act(command, (context) => reconcile(context, names, options)),
    );
  program
    .command('reconcile-interval')
    .description('How often drift is mended by itself: 5m, 1d, 1M, 1y; off: by hand only.')
    .argument('<interval>', 'minutes (m), days (d), months (M), years (y), or off', intervalOrOff)
    .addHelpText('after', '\nExamples:\n  deckhand reconcile-interval 5m\n  deckhand reconcile-interval off')
    .action((interval: string, _options, command: Command) =>
      act(command, (context) => reconcileInterval(context, interval)),
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
        act(command, (context) => power(context, kind, name, options)),
      );
}
