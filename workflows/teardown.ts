/**
 * Taking deckies down.
 *
 * 1. {@link teardownDecky}: one decky, base container and address included (`teardown/<lifecycle_id>`).
 * 2. On its host: the agent answers when it is down.
 * 3. {@link leaveHost}: before deckies of a host come up on others.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  executeChild,
  isCancellation,
  workflowInfo,
} from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { errorText } from '../fleet/errors.ts';
import { leaveWorkflowId } from '../fleet/housekeeping.ts';
import { DECKY_STATE, LOCAL_HOST, OPERATION, STATUS } from '../fleet/lifecycle.ts';
import { LEAVING_IN_PLACE, LEAVING_PER_CHILD, ROLLOUT_DEFAULTS } from '../fleet/limits.ts';
import { onAgent, openRows, recordTransitions } from './activities.ts';
import { DeckyDetails, type PartDetails } from './details.ts';
import { doLocalWork, tidyEngine } from './local.ts';
import { settleLost, unwritten } from './lost-rows.ts';
import type { OperationInput, OperationSummary } from './messages.ts';
import {
  endNotAccepted,
  endOperation,
  failedRows,
  groupAttributes,
  Lane,
  RequestAcceptance,
  rowError,
  TransitionRecorder,
  Window,
} from './operation.ts';
import { REMOTE_TEARDOWN } from './profiles.ts';
import { type HostPart, isOfHost } from './shard.ts';

export async function teardownDecky(input: OperationInput): Promise<OperationSummary> {
  const request = new RequestAcceptance(input);
  const lane = new Lane(input.operationId);
  const acceptance = await request.result();
  if (!acceptance.accepted) return endNotAccepted(input, acceptance);
  const [part] = acceptance.parts;
  const host = part?.hostUuid ?? LOCAL_HOST;
  const where = part?.hostUuid ? `host \`${part.hostName ?? part.hostUuid}\`` : 'the Docker Engine';
  const details = new DeckyDetails();
  const recorder = new TransitionRecorder();
  try {
    if (!(part?.turn ?? acceptance.turn)) {
      details.waitFor(`its turn on ${where}: an operation that was accepted before still works there`);
      await lane.enter(host);
    }
    if (part && isOfHost(part)) await takeDownOnHost(part, acceptance, details, recorder);
    else await takeDownRows(acceptance, details, recorder);
    await recorder.written();
  } catch (failure) {
    await CancellationScope.nonCancellable(() =>
      isCancellation(failure) ? endCancelled(acceptance, details) : endUnwritten(acceptance, details, failure),
    );
  } finally {
    if (host === LOCAL_HOST) await tidyEngine();
    await lane.leave(host);
  }
  return endOperation(input, details.counts, (succeeded) => (succeeded ? 'torn down' : 'not torn down'));
}

type Accepted = Extract<Acceptance, { accepted: true }>;

async function takeDownRows(acceptance: Accepted, details: DeckyDetails, recorder: TransitionRecorder): Promise<void> {
  const options = {
    minHealthyTimeMs: 0,
    healthyDeadlineMs: acceptance.progressDeadlineMs,
    progressDeadlineMs: acceptance.progressDeadlineMs,
  };
  const rows = await openRows({ workflowId: acceptance.parts[0]?.workflowId ?? '' });
  details.expect(rows.map((row) => row.deckyName));
  for (const { lifecycleId, deckyName, operation } of rows)
    await doLocalWork(
      { lifecycleId, deckyName, operation, verdict: 'differs' },
      { options, recorder, window: new Window(1), details },
    );
}

async function endCancelled(acceptance: Accepted, details: DeckyDetails): Promise<void> {
  const rows = await openRows({ workflowId: acceptance.parts[0]?.workflowId ?? '' });
  const error = errorText('Cancelled', 'the teardown was cancelled before it began; the decky was left as it was.');
  await recordTransitions({ transitions: failedRows(rows, error) });
  for (const row of rows) details.ended(row.deckyName, false);
}

/** What came of it could not be written: the engine is asked, and the row says so. */
async function endUnwritten(acceptance: Accepted, details: DeckyDetails, failure: unknown): Promise<void> {
  const rows = await openRows({ workflowId: acceptance.parts[0]?.workflowId ?? '' });
  await settleLost(rows, unwritten(failure));
  for (const row of rows) details.ended(row.deckyName, false);
}

/** The agent answers when it is down. A host that never does fails the row as HostLost. */
async function takeDownOnHost(
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
  details.waitFor(`host \`${hostName}\` to take ${deckyName} down; an unreachable host is waited for until ${until}`);
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
  return isUnreachable(failure)
    ? errorText('HostLost', `host ${hostName} gave no answer for ${hostLostAfterMs / 1_000} s: ${reason(failure)}`)
    : rowError(failure, 'progress_deadline');
}

const causeOf = (failure: unknown): Error | undefined =>
  failure instanceof ActivityFailure ? failure.cause : undefined;

/** Nobody answered, as far as it was tried. */
const isUnreachable = (failure: unknown): boolean => {
  const cause = causeOf(failure);
  return cause instanceof ApplicationFailure
    ? /^Host(Unreachable|Silent)$/.test(cause.type ?? '')
    : cause !== undefined;
};

const reason = (failure: unknown): string => causeOf(failure)?.message ?? 'no reason';

/** As an agent takes down at the same time, and some that wait there; Temporal lets a workflow have 2,000 at once. */
const AT_ONCE = 24;

export interface Leave {
  readonly operationId: string;
  readonly searchAttributes: boolean;
  readonly hostUuid: string;
  readonly hostName: string;
  readonly reachable: boolean;
  readonly hostLostAfterMs: number;
  readonly names: readonly string[];
}

/**
 * Before deckies of a host come up on others it takes them down: on one network they have the same addresses. Never fails: what
 * could not be taken down is a pending teardown, which begins when the host is back. True once the host was
 * told: from then on a cancellation comes too late, since deckies that it has let go of would run nowhere.
 */
export async function leaveHost(leave: Leave, lane: Lane, details: PartDetails): Promise<boolean> {
  const { hostUuid, hostName, names } = leave;
  details.begin('leaving', `host \`${hostName}\` to take ${names.length} deckies down, which move to others`);
  try {
    if (!leave.reachable) return false;
    await lane.enter(hostUuid);
    await CancellationScope.nonCancellable(() => takeDownAll(leave));
    return true;
  } catch {
    // Cancelled while it waited for its turn: the shards say so, each for its rows.
    return false;
  } finally {
    await lane.leave(hostUuid);
    details.end('leaving');
  }
}

/** Many are taken down by children, one after another, so that no history becomes too long. */
async function takeDownAll(leave: Leave): Promise<void> {
  const { operationId, names, hostName, searchAttributes } = leave;
  if (names.length <= LEAVING_IN_PLACE) {
    await takeDownLeaving(leave);
    return;
  }
  for (let at = 0; at < names.length; at += LEAVING_PER_CHILD) {
    const some = names.slice(at, at + LEAVING_PER_CHILD);
    const child = executeChild<typeof takeDownLeaving>('takeDownLeaving', {
      workflowId: leaveWorkflowId(operationId, at / LEAVING_PER_CHILD + 1),
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [{ ...leave, names: some }],
      staticSummary: `${some.length} deckies leave ${hostName}`,
      ...(searchAttributes ? { typedSearchAttributes: groupAttributes(OPERATION.deploy) } : {}),
    });
    // What a child left that somebody ended is a pending teardown, as what failed is.
    const { lost } = await child.catch(() => ({ lost: false }));
    if (lost) return;
  }
}

/**
 * Takes these down. An unreachable host is waited for once: what it has left then is pending at once, not each after a wait of
 * its own, and `lost` is true.
 */
export async function takeDownLeaving({
  operationId,
  hostUuid,
  hostName,
  hostLostAfterMs,
  names,
}: Leave): Promise<{ readonly lost: boolean }> {
  const window = new Window(AT_ONCE);
  let lastSign = Date.now();
  let lost = false;
  await Promise.all(
    names.map((deckyName) =>
      window.run(async () => {
        if (lost) return;
        const begun = Date.now();
        try {
          const agent = onAgent(REMOTE_TEARDOWN(hostLostAfterMs), `take down ${deckyName} on ${hostName}`);
          await agent.tearDownOnHost({ hostUuid, operationId, deckyName });
          lastSign = Date.now();
        } catch (failure) {
          // Its teardown is pending.
          if (!isUnreachable(failure)) lastSign = Date.now();
          else if (lastSign <= begun) lost = true;
        }
      }),
    ),
  );
  return { lost };
}
