/** Work that many ask for and one does: a build, a pull, the making of a network. */
import { raceAbort } from './abort.ts';

interface Flight<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  readonly listeners: Set<(step: string) => void>;
  waiters: number;
}

export interface FlightOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((step: string) => void) | undefined;
}

export type FlightWork<T> = (signal: AbortSignal, onProgress: (step: string) => void) => Promise<T>;

export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /**
   * Joins the work under this key, or starts it. Progress reaches all who wait; who aborts leaves the others waiting, and
   * the work itself is aborted when nobody waits any more.
   */
  async run(key: string, options: FlightOptions, work: FlightWork<T>): Promise<T> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiters += 1;
    if (onProgress) flight.listeners.add(onProgress);
    try {
      return await raceAbort(flight.promise, signal);
    } finally {
      if (onProgress) flight.listeners.delete(onProgress);
      flight.waiters -= 1;
      if (flight.waiters === 0) this.#abandon(key, flight);
    }
  }

  #start(key: string, work: FlightWork<T>): Flight<T> {
    const controller = new AbortController();
    const listeners = new Set<(step: string) => void>();
    const tell = (step: string): void => {
      for (const listener of listeners) listener(step);
    };
    const promise = work(controller.signal, tell);
    promise.catch(() => undefined);
    const flight: Flight<T> = { promise, controller, listeners, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  #abandon(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    flight.controller.abort();
  }
}
