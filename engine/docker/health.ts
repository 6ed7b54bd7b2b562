/** Whether a decky's containers run and stayed up. The judgement is pure; what it judges are inspections of the engine. */
import type { DeckySpec } from '../../fleet/compose.ts';
import type { Health } from '../engine.ts';
import { describeContainer, fateOf, type Inspection } from './observe.ts';
import { serviceOf } from './plan.ts';

/**
 * Restarts within `min_healthy_time` after which a container counts as crashing. The engine pauses 0.1, 0.2, 0.4 … s
 * between restarts, so three come within a second: one or two may be a dependency that was late, three are a habit.
 */
export const CRASH_LOOP_RESTARTS = 3;

/** How soon it is worth looking again at a container that restarts. */
const RESTART_PAUSE_MS = 500;

export type Judgement =
  | { readonly status: 'healthy' }
  | { readonly status: 'waiting'; readonly sentence: string; readonly remainingMs: number }
  /** Something outside ended a container, or cut it off from its base: it has to be brought up again. */
  | { readonly status: 'stopped'; readonly sentence: string }
  /** `container` is the one whose log is the evidence; null when there is none. */
  | { readonly status: 'failed'; readonly sentence: string; readonly container: Inspection | null };

/** A container that crashes over and over, by itself. */
export const isCrashing = ({ restarts }: Inspection): boolean => restarts >= CRASH_LOOP_RESTARTS;

const failed = (container: Inspection): Judgement => ({
  status: 'failed',
  sentence: describeContainer(container),
  container,
});

function judgeRunning(container: Inspection, minHealthyMs: number, ageMs: number): Judgement {
  if (ageMs >= minHealthyMs) return { status: 'healthy' };
  if (isCrashing(container))
    return { status: 'failed', sentence: `${describeContainer(container)}: it does not stay up`, container };
  const sentence = `container ${container.name} has run ${(ageMs / 1000).toFixed(1)} of ${minHealthyMs / 1000} s`;
  return { status: 'waiting', sentence, remainingMs: minHealthyMs - ageMs };
}

function judgeRestarting(container: Inspection, minHealthyMs: number): Judgement {
  if (isCrashing(container)) return failed(container);
  const remainingMs = Math.max(minHealthyMs, RESTART_PAUSE_MS);
  return { status: 'waiting', sentence: describeContainer(container), remainingMs };
}

export interface Judged {
  readonly name: string;
  readonly container: Inspection | null;
  /** Null for the base itself. */
  readonly base: Inspection | null;
  readonly ageMs: number;
}

export function judgeOne({ name, container, base, ageMs }: Judged, minHealthyMs: number): Judgement {
  if (!container) return { status: 'failed', sentence: `container ${name} is not there`, container: null };
  switch (fateOf(container, base)) {
    case 'running':
      return judgeRunning(container, minHealthyMs, ageMs);
    case 'restarting':
      return judgeRestarting(container, minHealthyMs);
    case 'startable':
      return { status: 'stopped', sentence: `${describeContainer(container)}; it did not end by itself` };
    case 'cut off':
      return { status: 'stopped', sentence: `container ${name} is cut off: its base was started after it` };
    default:
      return failed(container);
  }
}

const RANK: Readonly<Record<Judgement['status'], number>> = { failed: 3, stopped: 2, waiting: 1, healthy: 0 };
const isWorse = (one: Judgement, other: Judgement): boolean =>
  one.status === 'waiting' && other.status === 'waiting'
    ? one.remainingMs > other.remainingMs
    : RANK[one.status] > RANK[other.status];

/** Inspections stand in the order of the spec's keys; `ageOf` says how long one has run. */
export function judgeHealth(
  spec: DeckySpec,
  inspections: readonly (Inspection | null)[],
  minHealthyMs: number,
  ageOf: (container: Inspection) => number,
): Judgement {
  let worst: Judgement = { status: 'healthy' };
  for (const [index, key] of spec.keys.entries()) {
    const container = inspections[index] ?? null;
    const one = {
      name: serviceOf(spec, key).container_name,
      container,
      base: index === 0 ? null : (inspections[0] ?? null),
      ageMs: container ? ageOf(container) : 0,
    };
    const judgement = judgeOne(one, minHealthyMs);
    if (isWorse(judgement, worst)) worst = judgement;
  }
  return worst;
}

/** What is told of a judgement, with its evidence: the last lines of the log, already cleaned. */
export function withEvidence(judgement: Exclude<Judgement, { status: 'stopped' }>, log: string): Health {
  if (judgement.status !== 'failed') return judgement;
  const evidence = log === '' ? 'It wrote no log.' : `Last lines of its log:\n${log}`;
  return {
    status: 'failed',
    sentence: judgement.container ? `${judgement.sentence}. ${evidence}` : judgement.sentence,
  };
}
