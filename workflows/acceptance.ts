/** How an operation's workflow is accepted: by the `accept` update, or, when the sweep starts it again, by the request's row. */
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { WITHDRAWN } from '../fleet/errors.ts';
import { acceptDeployment, withdrawDeployment } from './activities.ts';
import type { OperationInput } from './messages.ts';
import { acceptUpdate } from './messages.ts';
import { ACCEPT_DEADLINE } from './profiles.ts';

export class Gate {
  private decision: Acceptance | null = null;
  private deciding = 0;
  private readonly input: OperationInput;

  /** Sets the handler of `accept`: make it before the workflow's first await. */
  constructor(input: OperationInput) {
    this.input = input;
    setHandler(acceptUpdate, async () => {
      const decision = await this.decide();
      if (!decision.accepted)
        throw ApplicationFailure.create({ type: decision.code, message: decision.detail, nonRetryable: true });
      return { accepted: true as const };
    });
  }

  /** The decision; a request that nobody accepts in time is withdrawn, unless the row says that it was accepted after all. */
  async pass(): Promise<Acceptance> {
    if (this.input.resume) return this.decide();
    try {
      await condition(() => this.decision !== null, ACCEPT_DEADLINE);
    } catch (failure) {
      // Cancelled before anything was decided: what is accepted all the same goes on, and ends as any that is cancelled.
      if (!isCancellation(failure)) throw failure;
    }
    return CancellationScope.nonCancellable(() => this.decided());
  }

  private async decided(): Promise<Acceptance> {
    await condition(() => this.deciding === 0);
    if (this.decision) return this.decision;
    const state = await withdrawDeployment({ operationId: this.input.operationId });
    return state === 'accepted' ? this.decide() : { accepted: false, code: 'Withdrawn', detail: WITHDRAWN };
  }

  private async decide(): Promise<Acceptance> {
    this.deciding += 1;
    try {
      const { operationId, hostsPerGroup } = this.input;
      this.decision = await acceptDeployment({ operationId, ...(hostsPerGroup ? { hostsPerGroup } : {}) });
      log.info(this.decision.accepted ? 'accepted' : 'refused', {
        deployment_id: this.input.operationId,
        request_id: workflowInfo().memo?.request_id,
      });
      return this.decision;
    } finally {
      this.deciding -= 1;
    }
  }
}
