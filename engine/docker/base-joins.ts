/**
 * Finds services that are cut off from their base: it was started after they had joined its network. A listing does not show when
 * a container was started, so that each pair is inspected once. A base gets a new endpoint with each start, and whoever joined
 * it since stays joined for as long as that endpoint is there: a look at a fleet that stands still inspects nothing.
 */

import { Semaphore } from '../../lib/concurrency.ts';
import { allSettled } from './call.ts';
import type { CurrentContainer } from './current.ts';
import { type Inspection, isCutOff } from './fate.ts';

/** Inspections at one time. */
const PARALLEL = 8;

export type InspectById = (id: string, signal: AbortSignal | undefined) => Promise<Inspection | null>;

export class BaseJoins {
  readonly #inspect: InspectById;
  readonly #semaphore = new Semaphore(PARALLEL);
  /** Service's id → the start of its base that it was seen to have joined. */
  readonly #joined = new Map<string, string>();

  constructor(inspect: InspectById) {
    this.#inspect = inspect;
  }

  /** `current` with the services marked that are cut off. */
  async mark(current: readonly CurrentContainer[], signal?: AbortSignal): Promise<readonly CurrentContainer[]> {
    const running = current.filter(({ state }) => state === 'running');
    const found = await allSettled(
      running.filter(isBase).map((base) => {
        const services = running.filter((one) => one.decky === base.decky && !isBase(one));
        const unknown = services.filter(({ id }) => this.#joined.get(id) !== startOf(base));
        return unknown.length === 0 ? Promise.resolve([]) : this.#compare(base, unknown, signal);
      }),
    );
    const cutOff = new Set(found.flat());
    this.#forgetAllBut(current);
    return cutOff.size === 0
      ? current
      : current.map((container) => (cutOff.has(container.id) ? { ...container, cutOff: true } : container));
  }

  /** Ids of those that are cut off. */
  async #compare(
    base: CurrentContainer,
    services: readonly CurrentContainer[],
    signal: AbortSignal | undefined,
  ): Promise<readonly string[]> {
    const seenBase = await this.#look(base, signal);
    const cutOff: string[] = [];
    for (const service of services) {
      const seen = await this.#look(service, signal);
      if (!seen || !seenBase) continue;
      if (isCutOff(seen, seenBase)) cutOff.push(service.id);
      else if (base.endpointId && seen.state === 'running') this.#joined.set(service.id, startOf(base));
    }
    return cutOff;
  }

  async #look(container: CurrentContainer, signal: AbortSignal | undefined): Promise<Inspection | null> {
    const release = await this.#semaphore.acquire(signal);
    try {
      return await this.#inspect(container.id, signal);
    } finally {
      release();
    }
  }

  /** A listing of one decky says nothing of the others; ids are never used again, so that forgetting late costs memory only. */
  #forgetAllBut(current: readonly CurrentContainer[]): void {
    if (this.#joined.size <= 2 * current.length + 10_000) return;
    const there = new Set(current.map(({ id }) => id));
    for (const id of this.#joined.keys()) if (!there.has(id)) this.#joined.delete(id);
  }
}

const isBase = ({ key, decky }: CurrentContainer): boolean => key === decky;
const startOf = ({ id, endpointId }: CurrentContainer): string => `${id}/${endpointId}`;
