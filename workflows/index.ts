/** All workflow types, for the bundle. */
export { deployFleet } from './deploy-fleet.ts';
export { deployLocal } from './deploy-local.ts';
export { deployShards } from './hosts.ts';
export { housekeeping } from './housekeeping.ts';
export { keepPart } from './keep-all.ts';
export { takeDownLeaving } from './leave-host.ts';
export { mutateDecky } from './mutate-decky.ts';
export { prune } from './prune.ts';
export { lookAtEngine, reconcileFleet } from './reconcile.ts';
export { rotateDecky, rotateInherited } from './rotate.ts';
export { deployShard } from './shard.ts';
export { sweep } from './sweep.ts';
export { teardownDecky } from './teardown-decky.ts';
