/** What a drill kills, and when: the same seed, round and kind give the same moment. */
import { createHash } from 'node:crypto';

/**
 * `worker`, `api`, `both`: kill -9 at the moment. `nats`: SIGSTOP before the deploy, so that the bus takes connections and never
 * answers, until every row has ended; then SIGCONT, or, by the seed, kill -9, so that it comes back from its disk. `agent-N`:
 * kill -9 of the Nth agent; `agents`: of all of them at once.
 */
export const KINDS = Object.freeze(['worker', 'api', 'both', 'nats'] as const);
export type Kind = (typeof KINDS)[number] | 'agents' | `agent-${number}`;

/** What is killed where nothing is said; with agents, each of them. */
export const defaultKinds = (agents: number): readonly Kind[] =>
  agents === 0
    ? KINDS
    : ['worker', 'api', ...Array.from({ length: agents }, (_, index): Kind => `agent-${index + 1}`), 'agents'];

export interface Draw {
  readonly seed: string;
  readonly round: number;
  readonly kind: Kind;
}

/** Uniform over 0 … 1, without 1. */
function fraction(purpose: string, { seed, round, kind }: Draw): number {
  const digest = createHash('sha256').update(`${purpose}/${seed}/${round}/${kind}`).digest();
  return digest.readUInt32BE(0) / 2 ** 32;
}

/** Milliseconds after the request was sent, uniform over the length of an undisturbed deploy; 0 for a bus that is down throughout. */
export const momentOf = (draw: Draw, lengthMs: number): number =>
  draw.kind === 'nats' ? 0 : Math.floor(fraction('moment', draw) * lengthMs);

/** How a silent bus ends. */
export const busEndingOf = (draw: Draw): 'continued' | 'killed' =>
  fraction('ending', draw) < 0.5 ? 'continued' : 'killed';

/** `worker,api,agent-2` → kinds; throws with what is wrong. `agents`: how many there are. */
export function parseKinds(text: string, agents: number): Kind[] {
  const known: readonly Kind[] = [...KINDS, ...defaultKinds(agents)];
  return text.split(',').map((name) => {
    const kind = known.find((one) => one === name.trim());
    if (!kind)
      throw new Error(`There is no kind ${JSON.stringify(name)}; kinds are ${[...new Set(known)].join(', ')}.`);
    return kind;
  });
}
