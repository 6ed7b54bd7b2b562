/** What the parts of a shard share, and how its input is made. */

import type { LocalPart } from '../activities/deployments.ts';
import type { HostReport } from '../fleet/agent-wire.ts';
import type { Rollout } from '../operations/store.ts';
import type { Board } from './board.ts';
import type { PlaceHolder } from './place-holder.ts';
import type { DeployShardInput } from './shard-input.ts';
import type { ShardLedger } from './shard-ledger.ts';

/** What the parts of a shard share. */
export interface Shard {
  readonly input: DeployShardInput;
  readonly workflowId: string;
  readonly ledger: ShardLedger;
  readonly board: Board;
  readonly place: PlaceHolder;
  /** Reports that came and were not looked at yet. */
  readonly inbox: HostReport[];
}

/** The part of an operation that belongs to a host. */
export type HostPart = LocalPart & { readonly hostUuid: string };

/** Whether it is a host's, and not the master's own. */
export const isOfHost = (part: LocalPart): part is HostPart => Boolean(part.hostUuid);

/** The input for the part of an operation that belongs to a host. */
export const shardInput = (
  operationId: string,
  part: HostPart,
  { minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs, hostLostAfterMs }: Rollout,
  place: boolean | null,
): DeployShardInput => ({
  operationId,
  hostUuid: part.hostUuid,
  hostName: part.hostName ?? part.hostUuid,
  turn: part.turn === true,
  place,
  minHealthyTimeMs,
  healthyDeadlineMs,
  progressDeadlineMs,
  hostLostAfterMs,
});
