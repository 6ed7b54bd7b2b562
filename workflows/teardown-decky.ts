/** Takes one decky down, base container and address included (`teardown/<lifecycle_id>`). */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Acceptance } from '../activities/deployments.ts';
import { errorText } from '../fleet/errors.ts';
import { isSince } from '../fleet/history-revision.ts';
import { LOCAL_HOST } from '../fleet/lifecycle.ts';
import { Gate } from './acceptance.ts';
import { finishDeployment, openRows, recordTransitions } from './activities.ts';
import { Board } from './board.ts';
import { failedRows } from './ended-rows.ts';
import { Lane } from './lane.ts';
import { doLocalWork } from './local-work.ts';
import type { OperationInput, OperationSummary } from './messages.ts';
import { LIFECYCLE_OUTCOME } from './search-attributes.ts';
import { isOfHost } from './shard.ts';
import { takeDownOnHost } from './take-down-on-host.ts';
import { tidyEngine } from './tidy-engine.ts';
import { TransitionRecorder } from './transition-recorder.ts';
import { Window } from './window.ts';

export async function teardownDecky(input: OperationInput): Promise<OperationSummary> {
  const gate = new Gate(input);
  const lane = new Lane(input.operationId);
  const acceptance = await gate.pass();
  if (!acceptance.accepted) {
    setCurrentDetails(`Not accepted: ${acceptance.detail}`);
    await condition(allHandlersFinished);
    return { outcome: 'refused', sentence: `${acceptance.code}: ${acceptance.detail}`, succeeded: 0, failed: 0 };
  }
  const [part] = acceptance.parts;
  const host = part?.hostUuid ?? LOCAL_HOST;
  const where = part?.hostUuid ? `host \`${part.hostName ?? part.hostUuid}\`` : 'the Docker Engine';
  const board = new Board();
  const recorder = new TransitionRecorder({ pumped: isSince(1, input) });
  try {
    if (!(part?.turn ?? acceptance.turn)) {
      board.waitFor(`its turn on ${where}: an operation that was accepted before still works there`);
      await lane.enter(host);
    }
    if (part && isOfHost(part)) await takeDownOnHost(part, acceptance, board, recorder);
    else await takeDownRows(acceptance, board, recorder);
  } catch (failure) {
    if (!isCancellation(failure)) throw failure;
    await CancellationScope.nonCancellable(() => endCancelled(acceptance, board));
  } finally {
    await recorder.written();
    if (host === LOCAL_HOST) await tidyEngine();
    await lane.leave(host);
  }
  await CancellationScope.nonCancellable(() => finishDeployment({ operationId: input.operationId }));
  const outcome = board.counts.failed > 0 ? 'failed' : 'succeeded';
  if (input.searchAttributes) upsertSearchAttributes([{ key: LIFECYCLE_OUTCOME, value: outcome }]);
  await recorder.published();
  await condition(allHandlersFinished);
  return { outcome, sentence: outcome === 'succeeded' ? 'torn down' : 'not torn down', ...board.counts };
}

type Accepted = Extract<Acceptance, { accepted: true }>;

async function takeDownRows(acceptance: Accepted, board: Board, recorder: TransitionRecorder): Promise<void> {
  const options = {
    minHealthyTimeMs: 0,
    healthyDeadlineMs: acceptance.progressDeadlineMs,
    progressDeadlineMs: acceptance.progressDeadlineMs,
  };
  const rows = await openRows({ workflowId: acceptance.parts[0]?.workflowId ?? '' });
  board.expect(rows.map((row) => row.deckyName));
  for (const { lifecycleId, deckyName, operation } of rows)
    await doLocalWork(
      { lifecycleId, deckyName, operation, verdict: 'differs' },
      { options, recorder, window: new Window(1), board },
    );
}

async function endCancelled(acceptance: Accepted, board: Board): Promise<void> {
  const rows = await openRows({ workflowId: acceptance.parts[0]?.workflowId ?? '' });
  const error = errorText('Cancelled', 'the teardown was cancelled before it began; the decky was left as it was.');
  await recordTransitions({ transitions: failedRows(rows, error) });
  for (const row of rows) board.ended(row.deckyName, false);
}
