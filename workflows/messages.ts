/** Typed message definitions, shared by API, workflows and tests. Signals are facts, updates are requests, queries are nouns. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { HEARTBEAT_SIGNAL, type HostReport } from '../fleet/agent-wire.ts';
import type { Outcome } from '../fleet/lifecycle.ts';

/** Input of `deployFleet` and `teardownDecky`: the id alone; configuration stays in PostgreSQL. */
export interface OperationInput {
  /** `deployments.id`; for a teardown of one decky it is the lifecycle id too. */
  readonly operationId: string;
  /** False where the namespace lacks the search attributes: start without them. */
  readonly searchAttributes: boolean;
  /** True when the sweep starts an accepted operation again whose workflow is unknown to Temporal: no `accept` will come. */
  readonly resume?: boolean;
  /** Tests have groups of fewer hosts (fleet/limits.ts). */
  readonly hostsPerGroup?: number;
}

/** Asks the workflow to accept its stored request. Refusal: WorkflowUpdateFailedError whose cause's `type` is an error code. */
export const acceptUpdate = defineUpdate<{ readonly accepted: true }>('accept');

/** It is this operation's turn in the lane of a host. */
export const turnSignal = defineSignal<[{ readonly hostUuid: string }]>('turn');

/** Why something that the workflow waits for is retried, by whoever retries it. */
export const troubleSignal = defineSignal<[{ readonly text: string }]>('trouble');

/** What a host reports on open rows of this workflow. */
export const heartbeatSignal = defineSignal<[HostReport]>(HEARTBEAT_SIGNAL);

/**
 * A shard tells its deployment that it needs one of the `max_parallel` slots, or gives its own back. The two signals about slots
 * are still named `place…`: recorded histories have these names.
 */
export const slotSignal = defineSignal<[{ readonly hostUuid: string; readonly wants: boolean }]>('place');
/** The deployment gives a shard the slot that it asked for. `forGood`: it is not to be given back before the shard ends. */
export const slotGrantedSignal = defineSignal<[{ readonly forGood: boolean }?]>('placeGranted');

export interface Progress {
  readonly done: readonly string[];
  readonly failed: readonly string[];
  readonly open: readonly string[];
  /** One sentence, or null when nothing is waited for. */
  readonly waitingFor: string | null;
}
export const progressQuery = defineQuery<Progress>('progress');

/** What an operation's workflow returns, as the Web UI shows it. */
export interface OperationSummary {
  /** A cancelled operation returns nothing: its workflow ends as Canceled. */
  readonly outcome: Outcome;
  readonly sentence: string;
  readonly succeeded: number;
  readonly failed: number;
}
