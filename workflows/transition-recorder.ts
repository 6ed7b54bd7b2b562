/** Writes transitions in batches: whatever came up while a batch was being written goes into the next one. */
import { CancellationScope, condition } from '@temporalio/workflow';
import type { Transition } from '../fleet/lifecycle.ts';
import { fitting } from '../fleet/limits.ts';
import { recordTransitions } from './activities.ts';

const BATCH = 200;

export class TransitionRecorder {
  private readonly queue: Transition[] = [];
  private writing = false;
  private failure: unknown = null;

  /** Queues a transition; order is kept. Rows are written also when the workflow was cancelled. */
  push(transition: Transition): void {
    this.queue.push(transition);
    if (!this.writing) void CancellationScope.nonCancellable(() => this.write());
  }

  /**
   * Resolves when every queued transition is in PostgreSQL. Throws what kept one from being written for good: then some rows
   * are open still, and the caller ends them in another way.
   */
  async written(): Promise<void> {
    await CancellationScope.nonCancellable(() => condition(() => !this.writing));
    const { failure } = this;
    this.failure = null;
    if (failure !== null) throw failure;
  }

  /** Never throws: nobody awaits it, and an unhandled rejection would fail the workflow's task again and again. */
  private async write(): Promise<void> {
    this.writing = true;
    try {
      await this.endOfActivation();
      while (this.queue.length > 0) await this.writeBatch(this.queue.splice(0, fitting(this.queue, BATCH)));
    } finally {
      this.writing = false;
    }
  }

  /** A batch that can't be written is no reason to leave out the next. */
  private async writeBatch(transitions: readonly Transition[]): Promise<void> {
    try {
      await recordTransitions({ transitions });
    } catch (failure) {
      this.failure ??= failure;
    }
  }

  /** What is pushed in the same activation goes into one batch: conditions are looked at again when all else has run. */
  private async endOfActivation(): Promise<void> {
    let looks = 0;
    await condition(() => looks++ > 0);
  }
}
