/** Whether a decky's containers run and stayed up. The judgement is pure; what it judges are inspections of the engine. */
import type { DeckySpec } from '../../fleet/compose-types.ts';
import type { Health } from './engine.ts';
import { serviceOf } from './plan.ts';

/**
 * Restarts within `min_healthy_time` after which a container counts as crashing. The engine pauses 0.1, 0.2, 0.4 … s
 * between restarts, so three come within a second: one or two may be a dependency that was late, three are a habit.
 */
export const CRASH_LOOP_RESTARTS = 3;

/** How soon it is worth looking again at a container that restarts. */
const RESTART_PAUSE_MS = 500;

/** One container as its inspection shows it; null where it is missing. */
export interface Inspection {
  readonly id: string;
  readonly name: string;
  /** created, running, paused, restarting, removing, exited or dead. */
  readonly state: string;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** The engine's own words when it could not start it. */
  readonly error: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly restarts: number;
}

export type Judgement =
  | { readonly status: 'healthy' }
  | { readonly status: 'waiting'; readonly sentence: string; readonly remainingMs: number }
  /** `container` is the one whose log is the evidence; null when there is none. */
  | { readonly status: 'failed'; readonly sentence: string; readonly container: Inspection | null };

/** One clause: what an operator needs to know of a container that does not run. */
export function describeContainer(container: Inspection): string {
  const restarts = container.restarts > 0 ? `, restarted ${container.restarts} times` : '';
  const memory = container.oomKilled ? ', killed for want of memory' : '';
  const words = container.error ? `; the engine says: ${container.error}` : '';
  return `container ${container.name} is ${container.state}, exit code ${container.exitCode}${memory}${restarts}${words}`;
}

function judgeOne(name: string, container: Inspection | null, minHealthyMs: number, now: number): Judgement {
  if (!container) return { status: 'failed', sentence: `container ${name} is not there`, container: null };
  const age = now - container.startedAt;
  const crashing = container.restarts >= CRASH_LOOP_RESTARTS;
  if (container.state === 'running') {
    if (age >= minHealthyMs) return { status: 'healthy' };
    if (crashing)
      return { status: 'failed', sentence: `${describeContainer(container)}: it does not stay up`, container };
    const sentence = `container ${name} has run ${(age / 1000).toFixed(1)} of ${minHealthyMs / 1000} s`;
    return { status: 'waiting', sentence, remainingMs: minHealthyMs - age };
  }
  if (container.state === 'restarting' && !crashing)
    return {
      status: 'waiting',
      sentence: describeContainer(container),
      remainingMs: Math.max(minHealthyMs, RESTART_PAUSE_MS),
    };
  return { status: 'failed', sentence: describeContainer(container), container };
}

/** `now`: epoch milliseconds by the engine's clock. Inspections stand in the order of the spec's keys. */
export function judgeHealth(
  spec: DeckySpec,
  inspections: readonly (Inspection | null)[],
  minHealthyMs: number,
  now: number,
): Judgement {
  const judgements = spec.keys.map((key, index) =>
    judgeOne(serviceOf(spec, key).container_name, inspections[index] ?? null, minHealthyMs, now),
  );
  const failed = judgements.find((judgement) => judgement.status === 'failed');
  if (failed) return failed;
  let worst: Judgement = { status: 'healthy' };
  for (const judgement of judgements)
    if (judgement.status === 'waiting' && (worst.status !== 'waiting' || judgement.remainingMs > worst.remainingMs))
      worst = judgement;
  return worst;
}

/** The judgement with its evidence: the last lines of the log, already cleaned. */
export function withEvidence(judgement: Judgement, log: string): Health {
  if (judgement.status !== 'failed') return judgement;
  const evidence = log === '' ? 'It wrote no log.' : `Last lines of its log:\n${log}`;
  return {
    status: 'failed',
    sentence: judgement.container ? `${judgement.sentence}. ${evidence}` : judgement.sentence,
  };
}
