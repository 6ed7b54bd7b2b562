/** Takes one decky down, base container and address included (`teardown/<lifecycle_id>`). */
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { errorText } from '../fleet/errors.ts';
import { LOCAL_HOST } from '../fleet/lifecycle.ts';
import { Gate } from './acceptance.ts';
import { openRows, recordTransitions } from './activities.ts';
import { DeckyDetails } from './details.ts';
import { failedRows } from './ended-rows.ts';
import { endNotAccepted, endOperation } from './ending.ts';
import { Lane } from './lane.ts';
import { doLocalWork } from './local-work.ts';
import type { OperationInput, OperationSummary } from './messages.ts';
import { settleLost, unwritten } from './settle-lost.ts';
import { isOfHost } from './shard.ts';
import { takeDownOnHost } from './take-down-on-host.ts';
import { tidyEngine } from './tidy-engine.ts';
import { TransitionRecorder } from './transition-recorder.ts';
import { Window } from './window.ts';

export async function teardownDecky(input: OperationInput): Promise<OperationSummary> {
  const gate = new Gate(input);
  const lane = new Lane(input.operationId);
  const acceptance = await gate.pass();
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
