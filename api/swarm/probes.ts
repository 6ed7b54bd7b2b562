/** Asking agents whether they are there; what they answer, or that they don't, is written down. */
import type { Host } from '../../adapters/postgres/hosts.ts';
import { DeckhandError, isDeckhandError } from '../../fleet/errors.ts';
import type { SwarmPorts } from './ports.ts';
import { agentAddress } from './views.ts';

const PROBE_LIMIT_MS = 3_000;
/** No probe of a request begins later, so that it is answered in time. */
const PROBES_LIMIT_MS = 6_000;
const PROBES_AT_ONCE = 64;

export interface Probed {
  readonly host: Host;
  /** Null: not asked, since it has no address or time was up. */
  readonly reachable: boolean | null;
  /** What the agent answered, or why it did not. */
  readonly detail: unknown;
}

/** In the order of the hosts. */
export async function probeAll(ports: SwarmPorts, hosts: readonly Host[]): Promise<Probed[]> {
  const timeUp = AbortSignal.timeout(PROBES_LIMIT_MS);
  return inParallel(hosts, PROBES_AT_ONCE, (host) =>
    host.address === '' || timeUp.aborted
      ? Promise.resolve({ host, reachable: null, detail: 'not asked' })
      : probe(ports, host),
  );
}

async function probe({ agents, hosts }: SwarmPorts, host: Host): Promise<Probed> {
  try {
    const { body, clockOffsetMs } = await agents.health(agentAddress(host), limit(PROBE_LIMIT_MS));
    await hosts.markReachable(host.uuid, clockOffsetMs === null ? {} : { clockOffsetMs });
    const now = { ...host, status: 'active' as const, lastHeartbeat: new Date() };
    return { host: now, reachable: true, detail: body };
  } catch (error) {
    if (!isDeckhandError(error) || error.code === 'Internal') throw error;
    await hosts.markUnreachable(host.uuid);
    return { host: { ...host, status: 'unreachable' }, reachable: false, detail: error.message };
  }
}

/** A signal whose reason is an error of the house. */
export function limit(ms: number): AbortSignal {
  const controller = new AbortController();
  const reason = new DeckhandError('HostUnreachable', `The agent did not answer within ${ms / 1000} s.`);
  setTimeout(() => controller.abort(reason), ms).unref();
  return controller.signal;
}

/** Runs `work` for all items, at most `width` at a time; results in the order of the items. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Map<number, R>();
  const queue = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of queue) results.set(index, await work(item));
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return items.flatMap((_, index) => (results.has(index) ? [results.get(index) as R] : []));
}
