/** Options of `npm run bench:swarm`. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../stack/root.ts';
import { stampOf } from '../options.ts';
import { CONTESTANTS, type ContestantName, type Size } from './contestant.ts';

export const PARTS = ['sizes', 'heartbeats', 'burst'] as const;
export type Part = (typeof PARTS)[number];

export interface SwarmOptions {
  readonly sizes: readonly Size[];
  readonly rounds: number;
  readonly contestants: readonly ContestantName[];
  readonly parts: readonly Part[];
  /** Hosts of the burst, with 50 deckies each. */
  readonly burstHosts: number;
  readonly beatMs: number;
  /** JSON; the plot goes beside it, as .svg. */
  readonly out: string;
  readonly profile: string | null;
  readonly strict: boolean;
}

export const USAGE = `npm run bench:swarm -- [options]

A deployment over many hosts, with simulated agents (real TLS, no containers): Deckhand, bare Temporal of the same shape,
bare Temporal with the same outside work, and DECNET's own run_deploy. Then heartbeats, and a burst of reports. Runs
servers of its own and removes them.

  --quick          10 × 20 and 50 × 20 only, one round, a smaller burst
  --rounds N       measured rounds of each size (3)
  --sizes LIST     hosts × deckies, as 10x20,200x50
  --only LIST      contestants: deckhand,outside,bare,decnet
  --parts LIST     of ${PARTS.join(',')}
  --out FILE       where the figures go as JSON (bench/results/swarm-<time>.json); the plot stands beside it
  --profile DIR    write CPU profiles of API and workers into DIR
  --strict         exit 1 when a target is missed
  --help           this text`;

const FULL = '10x20,50x20,200x50,200x20,500x20';
const QUICK = '10x20,50x20';
const KEYS: Readonly<Record<string, ContestantName>> = {
  deckhand: CONTESTANTS[0],
  outside: CONTESTANTS[1],
  bare: CONTESTANTS[2],
  decnet: CONTESTANTS[3],
};

const listOf = (text: string): string[] => text.split(',').map((one) => one.trim());

function sizeOf(text: string): Size {
  const found = /^([1-9]\d{0,2})x([1-9]\d{0,2})$/.exec(text);
  const size = { hosts: Number(found?.[1]), deckies: Number(found?.[2]) };
  if (!found || size.hosts * size.deckies > 10_000)
    throw new Error(`--sizes wants hosts x deckies, 10,000 in all at most, such as 50x20; not "${text}".`);
  return size;
}

function contestantOf(text: string): ContestantName {
  const found = KEYS[text];
  if (!found) throw new Error(`--only knows ${Object.keys(KEYS).join(', ')}; not "${text}".`);
  return found;
}

function partOf(text: string): Part {
  const found = PARTS.find((part) => part === text);
  if (!found) throw new Error(`--parts knows ${PARTS.join(', ')}; not "${text}".`);
  return found;
}

/** Null for `--help`. Throws a sentence for what it does not understand. */
export function parseOptions(args: readonly string[], now = new Date()): SwarmOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      sizes: { type: 'string' },
      only: { type: 'string' },
      parts: { type: 'string' },
      out: { type: 'string' },
      profile: { type: 'string' },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const rounds = values.rounds ?? (values.quick ? '1' : '3');
  if (!/^[1-9]\d?$/.test(rounds)) throw new Error(`--rounds wants a number from 1 to 99, not "${rounds}".`);
  return {
    sizes: listOf(values.sizes ?? (values.quick ? QUICK : FULL)).map(sizeOf),
    rounds: Number(rounds),
    contestants: values.only ? listOf(values.only).map(contestantOf) : CONTESTANTS,
    parts: values.parts ? listOf(values.parts).map(partOf) : PARTS,
    burstHosts: values.quick ? 40 : 200,
    beatMs: values.quick ? 3_000 : 10_000,
    out: values.out ?? join(ROOT, 'bench', 'results', `swarm-${stampOf(now)}.json`),
    profile: values.profile ?? null,
    strict: values.strict,
  };
}
