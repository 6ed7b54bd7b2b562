/** Options of `npm run bench`. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../stack/root.ts';

export interface BenchOptions {
  readonly rounds: number;
  /** Single-decky deploys, and as many bare updates of each kind, in each round. */
  readonly accepts: number;
  readonly out: string;
  /** Exit 1 when a target is missed. */
  readonly strict: boolean;
  /** Where API and worker write CPU profiles when they end. */
  readonly profile: string | null;
}

export const USAGE = `npm run bench -- [options]

Ten deckies of two services each: through Deckhand, by bare engine calls, and by docker compose where its plugin is
installed; then the same fleet again; then how long accepting takes. Runs a stack of its own and removes it.

  --rounds N     measured rounds after a warm-up (5)
  --accepts N    accepted requests in each round (6)
  --out FILE     where the figures go as JSON (bench/results/<time>.json)
  --profile DIR  write CPU profiles of API and worker into DIR
  --strict       exit 1 when a target is missed
  --help         this text`;

const countOf = (text: string, name: string): number => {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new Error(`--${name} wants a number from 1 to 999, not "${text}".`);
  return Number(text);
};

/** The moment of a run, as it stands in the name of its file. */
export const stampOf = (time: Date): string => time.toISOString().replaceAll(':', '-').slice(0, 19);

/** Null for `--help`. Throws a sentence for what it does not understand. */
export function parseOptions(args: readonly string[], now = new Date()): BenchOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '5' },
      accepts: { type: 'string', default: '6' },
      out: { type: 'string' },
      profile: { type: 'string' },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  return {
    rounds: countOf(values.rounds, 'rounds'),
    accepts: countOf(values.accepts, 'accepts'),
    out: values.out ?? join(ROOT, 'bench', 'results', `${stampOf(now)}.json`),
    strict: values.strict,
    profile: values.profile ?? null,
  };
}
