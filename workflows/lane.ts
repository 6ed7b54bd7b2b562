/** The lane of a host: one operation at a time, in the order of acceptance (promise 6). */
import { CancellationScope, condition, isCancellation, setHandler } from '@temporalio/workflow';
import { awaitTurn, releaseLane } from './activities.ts';
import { turnSignal } from './messages.ts';

export class Lane {
  private turn = false;
  private readonly hostUuid: string;
  private readonly operationId: string;

  /** Sets the handler of the `turn` signal: make it before the workflow's first await. */
  constructor(hostUuid: string, operationId: string) {
    this.hostUuid = hostUuid;
    this.operationId = operationId;
    setHandler(turnSignal, (turn) => {
      if (turn.hostUuid === this.hostUuid) this.turn = true;
    });
  }

  /** Resolves when it is this operation's turn: told by the one before, or found out by asking now and then. */
  async enter(): Promise<void> {
    const asking = new CancellationScope();
    const asked = asking
      .run(() => awaitTurn({ hostUuid: this.hostUuid, operationId: this.operationId }))
      .then(() => {
        this.turn = true;
      })
      .catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
    await Promise.race([condition(() => this.turn), asked]);
    asking.cancel();
  }

  /** Gives the lane to the next, whatever happened before. */
  async leave(): Promise<void> {
    await CancellationScope.nonCancellable(() =>
      releaseLane({ hostUuid: this.hostUuid, operationId: this.operationId }),
    );
  }
}
