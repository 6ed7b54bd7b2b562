/** What a drill kills, and when: the same seed, round and kind give the same moment. */
import { createHash } from 'node:crypto';

/**
 * `worker`, `api`, `both`: kill -9 at the moment. `nats`: SIGSTOP before the deploy, so that the bus takes connections and never
 * answers, until every row has ended; then SIGCONT, or, by the seed, kill -9, so that it comes back from its disk.
 */
export const KINDS = Object.freeze(['worker', 'api', 'both', 'nats'] as const);
export type Kind = (typeof KINDS)[number];

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

/** `worker,api` → kinds; throws with what is wrong. */
export function parseKinds(text: string): Kind[] {
  return text.split(',').map((name) => {
    const kind = KINDS.find((one) => one === name.trim());
    if (!kind) throw new Error(`There is no kind ${JSON.stringify(name)}; kinds are ${KINDS.join(', ')}.`);
    return kind;
  });
}
