/** All workflow types, for the bundle. */
export { deployFleet } from './deploy.ts';
export { deployShards } from './hosts.ts';
export { housekeeping, lookAtEngine, prune, reconcileFleet, sweep } from './housekeeping.ts';
export { deployLocal, keepPart } from './local.ts';
export { mutateDecky, rotateDecky, rotateInherited } from './mutate.ts';
export { deployShard } from './shard.ts';
export { takeDownLeaving, teardownDecky } from './teardown.ts';
