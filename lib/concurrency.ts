/**
 * Waiting together, and giving up.
 *
 * 1. A semaphore whose waiters can give up.
 * 2. A single flight: work that many ask for and one does, such as a build, a pull, the making of a network.
 * 3. Abort signals that many share: one signal may cancel a whole fleet's calls.
 * 4. Pauses.
 */
import { setMaxListeners } from 'node:events';

export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  /** Resolves with the function that gives the slot back. Throws the signal's reason when aborted while waiting. */
  async acquire(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#release();
    };
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const granted = (): void => {
        stopListening();
        resolve();
      };
      this.#waiting.push(granted);
      const stopListening = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(granted), 1);
        reject(signal?.reason);
      });
    });
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

// 2. Single flight

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

// 3. Abort signals

/** Returns the function that stops listening. A signal that was aborted before calls back at once. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (!signal) return () => undefined;
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** Throws the signal's reason as soon as it is aborted; the promise goes on by itself. */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(stop);
  });
}

// 4. Pauses

/** A pause that an abort ends, with the signal's own reason. */
export function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return raceAbort(over, signal).finally(() => clearTimeout(timer));
}

/** The nth pause (from 0), doubling up to `longest`; `chance` is from 0 to 1 and takes off up to half of it. */
export const growingPause = (n: number, first: number, longest: number, chance: number): number =>
  Math.min(longest, first * 2 ** Math.min(n, 20)) * (1 - chance / 2);
