/** Options of `npm start`. */
import { parseArgs } from 'node:util';

export interface StartOptions {
  /** Path of an INI, or null to deploy nothing. */
  readonly fleet: string | null;
  readonly once: boolean;
  readonly replace: boolean;
  readonly yes: boolean;
  /** Agents on this machine, beside those that were enrolled by earlier starts. */
  readonly agents: number;
}

/** Each is a process, and has the third byte of its addresses from its number. */
const MAX_AGENTS = 100;

export const DEFAULT_FLEET = 'examples/quickstart.ini';

export const USAGE = `npm start -- [options]

Brings up Temporal, PostgreSQL, NATS, Docker, the API and a worker, deploys a fleet, and stays until Ctrl-C.
State is in .deckhand/ (DECKHAND_HOME), servers are cached in ~/.cache/deckhand/.

  --fleet FILE   the fleet to deploy (${DEFAULT_FLEET}); "none" deploys nothing
  --replace      the file is the whole fleet: remove what it does not name
  --once         deploy, take everything down again, stop; exit 0 only if all deckies succeeded
  --yes          answer yes to questions (installing Docker)
  --agents N     enrol N agents on this machine, so that it shows a swarm: new deckies go to them
  --help         this text

Servers of your own: TEMPORAL_ADDRESS, DATABASE_URL, NATS_URL, DOCKER_HOST. All variables: docs/environment.md.`;

type ParsedOptions =
  | { readonly kind: 'start'; readonly options: StartOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly sentence: string };

/** A sentence for what the environment asks of a stack and it can't do; leaving it out silently would be plain HTTP in place of TLS. */
export function refusedEnvironment(environment: NodeJS.ProcessEnv): string | null {
  const { DECKHAND_TLS_CERT: cert, DECKHAND_TLS_KEY: key } = environment;
  if (!cert && !key) return null;
  return '`npm start` asks its own API over plain HTTP on loopback. Unset DECKHAND_TLS_CERT and DECKHAND_TLS_KEY, or run the API as a program of its own, where they count (docs/security.md).';
}

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
    const agents = /^\d{1,4}$/.test(values.agents) ? Number(values.agents) : Number.NaN;
    if (!(agents <= MAX_AGENTS)) return wrong(`--agents wants a number up to ${MAX_AGENTS}, not "${values.agents}".`);
    const fleet = values.fleet === 'none' ? null : values.fleet;
    if (values.once && fleet === null)
      return wrong('--once deploys a fleet and takes it down; --fleet none leaves it nothing to do.');
    return { kind: 'start', options: { fleet, once: values.once, replace: values.replace, yes: values.yes, agents } };
  } catch (error) {
    return wrong((error as Error).message);
  }
}
