/** Writes transitions in batches: whatever came up while a batch was being written goes into the next one. */
import { CancellationScope, condition, patched } from '@temporalio/workflow';
import type { Transition } from '../fleet/lifecycle.ts';
import { publishTransitions, recordTransitions } from './activities.ts';
import { BUS_PATIENCE } from './profiles.ts';

/** Bounds the payload of one activity: 200 errors of 2,000 characters stay below Temporal's 512 KiB warning. */
const BATCH = 200;

/** Histories from before it have a batch for what came up in one turn of the microtask queue. */
const GATHER = 'gather-transitions-of-an-activation';

export class TransitionRecorder {
  private readonly queue: Transition[] = [];
  private writing = false;
  private publishing = false;
  private unpublished = false;
  private readonly pumped: boolean;

  /** `pumped`: the worker sends what is recorded; absent in histories from before (fleet/history-revision.ts). */
  constructor({ pumped }: { readonly pumped: boolean }) {
    this.pumped = pumped;
  }

  /** Queues a transition; order is kept. Rows are written also when the workflow was cancelled. */
  push(transition: Transition): void {
    this.queue.push(transition);
    if (!this.writing) void CancellationScope.nonCancellable(() => this.write());
  }

  /** Resolves when every queued transition is in PostgreSQL. */
  async written(): Promise<void> {
    await CancellationScope.nonCancellable(() => condition(() => !this.writing));
  }

  /** Waits for the bus, but only so long: a broken bus never delays a decky, and the sweep sends what is left. */
  async published(): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      if (this.unpublished && !this.publishing) void this.publish();
      await condition(() => !this.publishing, BUS_PATIENCE);
    });
  }

  private async write(): Promise<void> {
    this.writing = true;
    await this.endOfActivation();
    while (this.queue.length > 0) {
      await recordTransitions({ transitions: this.queue.splice(0, BATCH) });
      this.unpublished = true;
      if (!this.pumped && !this.publishing) void this.publish();
    }
    this.writing = false;
  }

  /** What is pushed in the same activation goes into one batch: conditions are looked at again when all else has run. */
  private async endOfActivation(): Promise<void> {
    if (!this.pumped && !patched(GATHER)) return;
    let looks = 0;
    await condition(() => looks++ > 0);
  }

  private async publish(): Promise<void> {
    this.publishing = true;
    while (this.unpublished) {
      this.unpublished = false;
      // A failure is left to the sweep on purpose; the next batch tries again.
      await publishTransitions().catch(() => undefined);
    }
    this.publishing = false;
  }
}
