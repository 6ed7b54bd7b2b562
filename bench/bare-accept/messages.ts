/** The smallest thing that does what accepting a deploy does: an update, started with its workflow, that writes one row. */
import { defineUpdate } from '@temporalio/workflow';

export const BARE_TASK_QUEUE = 'deckhand-bench';
export const TABLE = 'deckhand_bench_accepted';
export const WORKFLOW_TYPE = 'bareAccept';

export interface BareInput {
  readonly id: string;
  /** The insert as a local activity, as Deckhand has it, instead of one that goes through Temporal's task queue. */
  readonly local: boolean;
}

export const bareAcceptUpdate = defineUpdate<{ readonly accepted: true }>('accept');

export interface BareActivities {
  insert(input: { id: string }): Promise<void>;
}
