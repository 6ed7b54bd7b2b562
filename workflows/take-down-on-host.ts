/** Takes one decky down on its host: the agent answers when it is down. A host that never does fails the row as HostLost. */
import { ActivityFailure, ApplicationFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { errorText } from '../fleet/errors.ts';
import { DECKY_STATE, STATUS } from '../fleet/lifecycle.ts';
import { ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import { onAgent, openRows } from './activities.ts';
import type { DeckyDetails } from './details.ts';
import { REMOTE_TEARDOWN } from './profiles.ts';
import { rowError } from './row-error.ts';
import type { HostPart } from './shard.ts';
import type { TransitionRecorder } from './transition-recorder.ts';

export async function takeDownOnHost(
  part: HostPart,
  acceptance: Extract<Acceptance, { accepted: true }>,
  details: DeckyDetails,
  recorder: TransitionRecorder,
): Promise<void> {
  const { hostUuid } = part;
  const hostName = part.hostName ?? hostUuid;
  const { hostLostAfterMs } = acceptance.rollout ?? ROLLOUT_DEFAULTS;
  const [row] = await openRows({ workflowId: workflowInfo().workflowId });
  if (!row) return;
  const { lifecycleId, deckyName, deploymentId } = row;
  details.expect([deckyName]);
  recorder.push({ lifecycleId, deckyName, status: STATUS.running });
  const until = new Date(Date.now() + hostLostAfterMs).toISOString();
  details.waitFor(`host \`${hostName}\` to take ${deckyName} down; a silent host is waited for until ${until}`);
  try {
    await onAgent(REMOTE_TEARDOWN(hostLostAfterMs), `take down ${deckyName} on ${hostName}`).tearDownOnHost({
      hostUuid,
      operationId: deploymentId,
      deckyName,
    });
    recorder.push({ lifecycleId, deckyName, status: STATUS.succeeded });
    details.ended(deckyName, true);
  } catch (failure) {
    const error = errorOf(failure, hostName, hostLostAfterMs);
    recorder.push({ lifecycleId, deckyName, status: STATUS.failed, error, seen: DECKY_STATE.teardownFailed });
    details.ended(deckyName, false);
  }
}

function errorOf(failure: unknown, hostName: string, hostLostAfterMs: number): string {
  if (isCancellation(failure))
    return errorText('Cancelled', `the teardown was cancelled; what host ${hostName} was asked before goes on there.`);
  return isSilence(failure)
    ? errorText('HostLost', `host ${hostName} gave no answer for ${hostLostAfterMs / 1_000} s: ${reason(failure)}`)
    : rowError(failure, 'progress_deadline');
}

const causeOf = (failure: unknown): Error | undefined =>
  failure instanceof ActivityFailure ? failure.cause : undefined;

/** Nobody answered, as far as it was tried. */
export const isSilence = (failure: unknown): boolean => {
  const cause = causeOf(failure);
  return cause instanceof ApplicationFailure
    ? /^Host(Unreachable|Silent)$/.test(cause.type ?? '')
    : cause !== undefined;
};

const reason = (failure: unknown): string => causeOf(failure)?.message ?? 'no reason';
