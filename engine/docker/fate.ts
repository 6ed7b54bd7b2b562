/**
 * What one inspection says of a container, and whether it ended by itself or was ended from outside. Pure: everybody who looks
 * (the look, the watch, the bringing up) judges by this.
 */

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
  /** Epoch milliseconds, by the engine's clock. */
  readonly startedAt: number;
  readonly restarts: number;
  /** Name of the restart policy: no, on-failure, unless-stopped or always. */
  readonly policy: string;
}

/**
 * `stopped`: something outside ended it, or it was never started: starting it again is right.
 * `ended`: it ended by itself, for good.
 * `cut off`: it runs in the network that its base had before.
 */
export type Fate = 'missing' | 'running' | 'restarting' | 'paused' | 'stopped' | 'ended' | 'cut off';

/** The engine's words, since it has no code for it: 20.10 to 28, seen with 20.10. */
const BASE_WAS_NOT_THERE = /cannot join network\b.*\bnon.running container/;

/**
 * After a restart of the machine, or of Docker, the engine starts all containers side by side. A service that comes before its
 * base can't join the base's network, and its restart policy counts for nothing then.
 */
export const isLeftBehind = ({ state, error }: Pick<Inspection, 'state' | 'error'>): boolean =>
  (state === 'exited' || state === 'created') && BASE_WAS_NOT_THERE.test(error);

/**
 * Under these policies the engine itself starts what ends: such a container is `restarting` or runs again. When it is `exited`
 * all the same, somebody stopped it, or the engine did as it ended, or could not start it as it came back.
 */
const KEPT_UP: readonly string[] = ['always', 'unless-stopped'];

/**
 * A service joins the network namespace of its base when it starts. A base that was started later has a new namespace, and
 * nobody reaches the service in the old one. Both times are by the engine's clock, and the base runs before a service can join.
 */
export const isCutOff = (
  service: Pick<Inspection, 'state' | 'startedAt'>,
  base: Pick<Inspection, 'state' | 'startedAt'> | null,
): boolean => service.state === 'running' && base?.state === 'running' && base.startedAt > service.startedAt;

/** `base` is null for a base itself. */
export function fateOf(container: Inspection | null, base: Inspection | null): Fate {
  if (!container) return 'missing';
  const { state, policy } = container;
  if (state === 'running') return isCutOff(container, base) ? 'cut off' : 'running';
  if (state === 'restarting' || state === 'paused') return state;
  // A dead one is what a removal left that the engine could not finish; it can only be made anew.
  if (['created', 'removing', 'dead'].includes(state) || isLeftBehind(container)) return 'stopped';
  return state === 'exited' && KEPT_UP.includes(policy) ? 'stopped' : 'ended';
}

/** One clause: what an operator needs to know of a container that does not run. */
export function describeContainer(container: Inspection): string {
  if (container.state === 'paused') return `container ${container.name} is paused; ${howToUnpause(container.name)}`;
  const restarts = container.restarts > 0 ? `, restarted ${container.restarts} times` : '';
  const memory = container.oomKilled ? ', killed for want of memory' : '';
  const words = container.error ? `; the engine says: ${container.error}` : '';
  return `container ${container.name} is ${container.state}, exit code ${container.exitCode}${memory}${restarts}${words}`;
}

export const howToUnpause = (name: string): string =>
  `\`docker unpause ${name}\` lets it go on, a reconcile makes it anew`;
