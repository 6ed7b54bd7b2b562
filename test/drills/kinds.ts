/** What a drill breaks, and when: the same seed, round and kind give the same moment and the same way. */
import { createHash } from 'node:crypto';

/**
 * | kind | what is done at the moment |
 * |---|---|
 * | `worker`, `api`, `both` | kill -9 |
 * | `nats` | SIGSTOP before the deploy, until every row has ended; then SIGCONT, or, by the seed, kill -9 |
 * | `docker` | kill -9 or SIGTERM, by the seed, to the stack's own dockerd, which the supervisor starts again |
 * | `base` | `docker restart` or kill -9, by the seed, of the base container of one decky |
 * | `ctrl-c` | SIGINT to `npm start`, then `npm start` in the same home |
 * | `freeze` | SIGSTOP to the worker for 20 s; then SIGCONT, or, by the seed, kill -9 |
 * | `postgres` | every connection to PostgreSQL is cut off without a reset; new ones work |
 * | `agent-N`, `agents` | kill -9 of the Nth agent, or of all at once |
 */
export const KINDS = Object.freeze([
  'worker',
  'api',
  'both',
  'nats',
  'docker',
  'base',
  'ctrl-c',
  'freeze',
  'postgres',
] as const);
export type Kind = (typeof KINDS)[number] | 'agents' | `agent-${number}`;

/** They need a Docker Engine that belongs to the drill's stack. */
export const ENGINE_KINDS: readonly Kind[] = ['docker', 'base'];

/** Kinds that run when the caller names none; with agents, each agent and all of them. */
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

/** How a process that was stopped by SIGSTOP ends. */
export const endingOf = (draw: Draw): 'continued' | 'killed' =>
  fraction('ending', draw) < 0.5 ? 'continued' : 'killed';

/** How Docker, or a base container, is ended. */
export const mannerOf = (draw: Draw): 'politely' | 'by kill' =>
  fraction('manner', draw) < 0.5 ? 'politely' : 'by kill';

/** Which of `count` things the fault strikes, from 0. */
export const victimOf = (draw: Draw, count: number): number => Math.floor(fraction('victim', draw) * count);

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
