/** The faults of a drill, on processes of the drill's own stack. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DrillStack } from './drill-stack.ts';
import { busEndingOf, type Draw } from './kinds.ts';

export interface Fault {
  /** What was done, for the line of the round. */
  readonly told: string;
  /** Whether a subscriber that was there all the time must have seen every event. */
  readonly subscriberSawAll: boolean;
  /** Ends a fault that lasts, once the rows have ended. Safe to call twice. */
  lift(): Promise<void>;
  /** Resolves when everything runs again. */
  back(): Promise<void>;
}

function victimsOf(kind: Exclude<Draw['kind'], 'nats'>, agents: readonly string[]): readonly string[] {
  if (kind === 'both') return ['worker', 'api'];
  return kind === 'agents' ? agents : [kind];
}

/** Strikes `momentMs` from now; a silent bus at once. */
export async function strike(stack: DrillStack, draw: Draw, momentMs: number): Promise<Fault> {
  if (draw.kind === 'nats') return silenceBus(stack, busEndingOf(draw));
  const victims = victimsOf(draw.kind, stack.agents);
  const pids = new Map(victims.map((name) => [name, stack.pidOf(name)]));
  await pause(momentMs);
  for (const pid of pids.values()) process.kill(pid, 'SIGKILL');
  return {
    told: `kill -9 ${victims.join(' and ')}`,
    subscriberSawAll: true,
    lift: () => Promise.resolve(),
    back: () => stack.back(pids),
  };
}

function silenceBus(stack: DrillStack, ending: 'continued' | 'killed'): Fault {
  const pid = stack.pidOf('nats');
  process.kill(pid, 'SIGSTOP');
  const killed = ending === 'killed';
  let lifted = false;
  return {
    told: `nats stopped, then ${ending}`,
    subscriberSawAll: !killed,
    lift: async () => {
      if (lifted) return;
      lifted = true;
      process.kill(pid, killed ? 'SIGKILL' : 'SIGCONT');
      if (killed) await stack.back(new Map([['nats', pid]]));
    },
    back: () => stack.back(new Map()),
  };
}
