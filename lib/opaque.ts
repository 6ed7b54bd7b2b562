/**
 * docker-modem inspects the options of every request for its debug log, whole and without a depth limit, whether anybody
 * reads it or not. An agent or a signal leads from there to every socket and listener of the process: seconds of a blocked
 * event loop in a busy worker. What is opaque is inspected as its label alone.
 */
import { inspect } from 'node:util';

export function opaque<T extends object>(value: T, label: string): T {
  Object.defineProperty(value, inspect.custom, { value: () => `<${label}>`, enumerable: false });
  return value;
}
