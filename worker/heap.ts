/** Keeps the worker's memory close to what it uses: import it before anything starts a thread. */
import { setFlagsFromString } from 'node:v8';

/**
 * How much the heap may grow between two full collections, in percent. V8 lets it nearly double where there is room, so that a
 * deploy over 200 hosts left 600 to 740 MB resident of which 450 were in use (npm run bench:swarm).
 */
const GROWTH_PERCENT = 70;

setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
