/** A group of a large deployment's hosts (`deploy/<id>/hosts/<n>`): it begins their shards, so that no history becomes too long. */
import type { Rollout } from '../operations/store.ts';
import { hostParts } from './activities.ts';
import type { Counts } from './ended-rows.ts';
import type { OperationInput } from './messages.ts';
import { Places } from './places.ts';
import { runShards } from './run-shards.ts';
import { isOfHost } from './shard.ts';
import { Waits } from './waits.ts';

export interface DeployShardsInput extends Pick<OperationInput, 'operationId' | 'searchAttributes'> {
  readonly hostUuids: readonly string[];
  readonly rollout: Rollout;
  /** The group's share of `max_parallel`. */
  readonly width: number;
}

export async function deployShards(input: DeployShardsInput): Promise<Counts> {
  const { operationId, hostUuids, rollout, width } = input;
  const places = new Places();
  const waits = new Waits();
  const parts = (await hostParts({ operationId, hostUuids })).filter(isOfHost);
  return runShards(input, { parts, rollout, width }, places, waits);
}
