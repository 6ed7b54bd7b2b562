/** Options of `npm start`. */
import { parseArgs } from 'node:util';

export interface StartOptions {
  /** Path of an INI, or null to deploy nothing. */
  readonly fleet: string | null;
  readonly once: boolean;
  readonly replace: boolean;
  readonly yes: boolean;
}

export const DEFAULT_FLEET = 'examples/quickstart.ini';

export const USAGE = `npm start -- [options]

Brings up Temporal, PostgreSQL, NATS, Docker, the API and a worker, deploys a fleet, and stays until Ctrl-C.
State is in .deckhand/ (DECKHAND_HOME), servers are cached in ~/.cache/deckhand/.

  --fleet FILE   the fleet to deploy (${DEFAULT_FLEET}); "none" deploys nothing
  --replace      the file is the whole fleet: remove what it does not name
  --once         deploy, take everything down again, stop; exit 0 only if all deckies succeeded
  --yes          answer yes to questions (installing Docker)
  --agents N     agents on this machine (comes with the next release)
  --help         this text

Servers of your own: TEMPORAL_ADDRESS, DATABASE_URL, NATS_URL, DOCKER_HOST. All variables: docs/environment.md.`;

export type ParsedOptions =
  | { readonly kind: 'start'; readonly options: StartOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly sentence: string };

const wrong = (sentence: string): ParsedOptions => ({ kind: 'wrong', sentence });

export function parseOptions(args: readonly string[]): ParsedOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        fleet: { type: 'string', default: DEFAULT_FLEET },
        agents: { type: 'string', default: '0' },
        once: { type: 'boolean', default: false },
        replace: { type: 'boolean', default: false },
        yes: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) return { kind: 'help' };
    if (!/^\d{1,4}$/.test(values.agents)) return wrong(`--agents wants a number, not "${values.agents}".`);
    if (Number(values.agents) > 0)
      return wrong(
        '--agents: agents come with the next release. Leave it out, and deckies run on this machine’s own engine.',
      );
    const fleet = values.fleet === 'none' ? null : values.fleet;
    if (values.once && fleet === null)
      return wrong('--once deploys a fleet and takes it down; --fleet none leaves it nothing to do.');
    return { kind: 'start', options: { fleet, once: values.once, replace: values.replace, yes: values.yes } };
  } catch (error) {
    return wrong((error as Error).message);
  }
}
