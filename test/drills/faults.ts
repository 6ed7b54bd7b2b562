/** The faults of a drill, on processes, containers and connections of the drill's own stack. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DrillFleet } from './deploy.ts';
import type { DrillStack } from './drill-stack.ts';
import { type Draw, endingOf, mannerOf, victimOf } from './kinds.ts';

export interface Fault {
  /** What was done, for the line of the round. */
  readonly told: string;
  /** Whether a subscriber that was there all the time must have seen every event. */
  readonly subscriberSawAll: boolean;
  /** Whether a row may fail because of it: only where somebody killed a decky's own container. */
  readonly mayFail: boolean;
  /** Ends a fault that lasts, once the rows have ended. Safe to call twice. */
  lift(): Promise<void>;
  /** Resolves when everything runs again. */
  back(): Promise<void>;
}

/** Longer than the heartbeat time-out after which Temporal gives the worker's activities to somebody else. */
const FROZEN_MS = 20_000;
const CONTAINER_MS = 30_000;

const fault = (told: string, more: Partial<Fault> = {}): Fault => ({
  told,
  subscriberSawAll: true,
  mayFail: false,
  lift: () => Promise.resolve(),
  back: () => Promise.resolve(),
  ...more,
});

/** Strikes `momentMs` from now; a silent bus at once. */
export async function strike(stack: DrillStack, fleet: DrillFleet, draw: Draw, momentMs: number): Promise<Fault> {
  if (draw.kind === 'nats') return silenceBus(stack, endingOf(draw));
  // Read before the wait: a process that the supervisor restarts meanwhile is not the victim.
  const pids = new Map(victimsOf(draw.kind, stack.agents).map((name) => [name, stack.pidOf(name)]));
  await pause(momentMs);
  switch (draw.kind) {
    case 'docker':
      return endDocker(stack, pids, mannerOf(draw));
    case 'base':
      return endBase(stack, fleet, draw);
    case 'ctrl-c':
      return interrupt(stack);
    case 'freeze':
      return freeze(stack, pids, endingOf(draw));
    case 'postgres':
      return fault(`${stack.cutDatabaseOff()} connections to PostgreSQL cut off without a reset`);
    default:
      for (const pid of pids.values()) process.kill(pid, 'SIGKILL');
      return fault(`kill -9 ${[...pids.keys()].join(' and ')}`, { back: () => stack.back(pids) });
  }
}

function victimsOf(kind: Draw['kind'], agents: readonly string[]): readonly string[] {
  if (kind === 'both') return ['worker', 'api'];
  if (kind === 'freeze') return ['worker'];
  if (kind === 'agents') return agents;
  return ['base', 'ctrl-c', 'postgres'].includes(kind) ? [] : [kind];
}

function silenceBus(stack: DrillStack, ending: 'continued' | 'killed'): Fault {
  const pid = stack.pidOf('nats');
  process.kill(pid, 'SIGSTOP');
  const killed = ending === 'killed';
  let lifted = false;
  return fault(`nats stopped, then ${ending}`, {
    subscriberSawAll: !killed,
    lift: async () => {
      if (lifted) return;
      lifted = true;
      process.kill(pid, killed ? 'SIGKILL' : 'SIGCONT');
      if (killed) await stack.back(new Map([['nats', pid]]));
    },
    back: () => stack.back(new Map()),
  });
}

function endDocker(stack: DrillStack, pids: ReadonlyMap<string, number>, manner: 'politely' | 'by kill'): Fault {
  const signal = manner === 'politely' ? 'SIGTERM' : 'SIGKILL';
  for (const pid of pids.values()) process.kill(pid, signal);
  return fault(`${signal} to dockerd`, { back: () => stack.back(pids) });
}

/** The base of one decky, as soon as it runs; a deploy that ends before it does is left alone. */
async function endBase(stack: DrillStack, { names }: DrillFleet, draw: Draw): Promise<Fault> {
  const name = names[victimOf(draw, names.length)] ?? '';
  const manner = mannerOf(draw);
  for (const until = Date.now() + CONTAINER_MS; Date.now() < until; await pause(50)) {
    const found = (await stack.containers()).find((container) => container.name === name);
    if (found?.state !== 'running') continue;
    await (manner === 'politely' ? stack.docker.getContainer(name).restart({ t: 0 }) : killInit(stack, name));
    return fault(`base of ${name} ${manner === 'politely' ? 'restarted' : 'killed'}`, {
      mayFail: manner === 'by kill',
    });
  }
  return fault(`base of ${name} never ran`);
}

/** As a crash: a kill by the engine's API would keep the restart policy from bringing it back. */
async function killInit(stack: DrillStack, name: string): Promise<void> {
  const { State } = await stack.docker.getContainer(name).inspect();
  if (State.Pid > 0) process.kill(State.Pid, 'SIGKILL');
}

async function interrupt(stack: DrillStack): Promise<Fault> {
  stack.process.signal('SIGINT');
  const code = await stack.process.ended();
  await stack.restart();
  return fault(`Ctrl-C (npm start ended with ${code}), then started again`, { subscriberSawAll: false });
}

async function freeze(
  stack: DrillStack,
  pids: ReadonlyMap<string, number>,
  ending: 'continued' | 'killed',
): Promise<Fault> {
  for (const pid of pids.values()) process.kill(pid, 'SIGSTOP');
  await pause(FROZEN_MS);
  for (const pid of pids.values()) process.kill(pid, ending === 'killed' ? 'SIGKILL' : 'SIGCONT');
  return fault(`worker frozen for ${FROZEN_MS / 1_000} s, then ${ending}`, {
    back: () => stack.back(ending === 'killed' ? pids : new Map()),
  });
}
