/** Options of `npm run test:drill`. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { defaultKinds, type Kind, parseKinds } from './kinds.ts';

export interface DrillOptions {
  readonly seed: string;
  readonly rounds: number;
  readonly kinds: readonly Kind[];
  /** Agents that the deploys go to; 0: the master's own engine. */
  readonly agents: number;
  /** When the drill ends, whatever is left to do. */
  readonly minutes: number;
  /** Milliseconds over which moments are drawn; null: measured. Repeats the very moments of a drill on another machine. */
  readonly lengthMs: number | null;
  /** Instead of rounds: deckies that mutate every minute, for so many minutes; null: rounds. */
  readonly rotateMinutes: number | null;
}

/** A round with nothing else at work takes two. */
const MINUTES_OF_A_ROUND = 4;
/** Below what CI gives a drill of one round. */
const LEAST_MINUTES = 18;

/** Throws with what is wrong. */
export function parseDrillOptions(args: readonly string[]): DrillOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: String(randomInt(1_000_000)) },
      rounds: { type: 'string', default: '1' },
      kinds: { type: 'string' },
      agents: { type: 'string', default: '0' },
      minutes: { type: 'string' },
      length: { type: 'string' },
      rotate: { type: 'string' },
    },
  });
  if (!/^\d{1,2}$/.test(values.agents))
    throw new Error(`--agents wants a number, not ${JSON.stringify(values.agents)}.`);
  const agents = Number(values.agents);
  const rounds = wholeNumber('--rounds', values.rounds);
  return {
    seed: values.seed,
    agents,
    rounds,
    kinds: values.rotate !== undefined ? [] : kindsOf(values.kinds, agents),
    minutes:
      values.minutes === undefined
        ? Math.max(LEAST_MINUTES, rounds * MINUTES_OF_A_ROUND)
        : wholeNumber('--minutes', values.minutes),
    rotateMinutes: values.rotate === undefined ? null : wholeNumber('--rotate', values.rotate),
    lengthMs: values.length === undefined ? null : wholeNumber('--length', values.length),
  };
}

const kindsOf = (text: string | undefined, agents: number): readonly Kind[] =>
  text === undefined ? defaultKinds(agents) : parseKinds(text, agents);

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new Error(`${name} wants a whole number from 1, not ${JSON.stringify(text)}.`);
  return Number(text);
}
