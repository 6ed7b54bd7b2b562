/** What every program's metrics start from: the process's own figures, and the times that make sense here. */
import { collectDefaultMetrics, Registry } from 'prom-client';

/** A registry of its own; with `process`, memory, CPU, event loop and garbage collection of this process too. */
export function createRegistry(options: { readonly process?: boolean } = {}): Registry {
  const register = new Registry();
  if (options.process === true) collectDefaultMetrics({ register });
  return register;
}

/** Seconds: answers of an API. */
export const ANSWER_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Seconds: work on hosts and engines, up to the deadlines of the design (10 minutes without progress). */
export const WORK_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800];
