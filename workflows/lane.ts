/** The lane of a host: one operation at a time, in the order of acceptance (promise 6). */
import { CancellationScope, condition, isCancellation, setHandler } from '@temporalio/workflow';
import { awaitTurn, releaseLane } from './activities.ts';
import { turnSignal } from './messages.ts';

export class Lane {
  private readonly turns = new Set<string>();
  private readonly operationId: string;

  /** Sets the handler of the `turn` signal: make it before the workflow's first await. */
  constructor(operationId: string) {
    this.operationId = operationId;
    setHandler(turnSignal, (turn) => {
      this.turns.add(turn.hostUuid);
    });
  }

  /** Resolves when it is this operation's turn: told by the one before, or found out by asking now and then. */
  async enter(hostUuid: string): Promise<void> {
    const asking = new CancellationScope();
    const asked = asking
      .run(() => awaitTurn({ hostUuid, operationId: this.operationId }))
      .then(() => {
        this.turns.add(hostUuid);
      })
      .catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
    await Promise.race([condition(() => this.turns.has(hostUuid)), asked]);
    asking.cancel();
  }

  /** Gives the lane to the next, whatever happened before. */
  async leave(hostUuid: string): Promise<void> {
    await CancellationScope.nonCancellable(() => releaseLane({ hostUuid, operationId: this.operationId }));
  }
}
