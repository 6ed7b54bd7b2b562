/** The child that does one host of a deployment (`deploy/<id>/host/<host_uuid>`): its turn, dispatch, reports, end (design, 4.5). */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { errorText } from '../fleet/errors.ts';
import type { HostReport } from '../fleet/reports.ts';
import { openRows } from './activities.ts';
import { Board } from './board.ts';
import { converge } from './converge.ts';
import type { Counts } from './ended-rows.ts';
import { Lane } from './lane.ts';
import { heartbeatSignal } from './messages.ts';
import { PlaceHolder } from './place-holder.ts';
import { rowError } from './row-error.ts';
import type { DeployShardInput, Shard } from './shard.ts';
import { ShardLedger } from './shard-ledger.ts';

export async function deployShard(input: DeployShardInput): Promise<Counts> {
  const counts = await workOnShard(input);
  await condition(allHandlersFinished);
  return counts;
}

/** Resolves when no row of it is open and its lane is left, also where the workflow is cancelled. */
export async function workOnShard(input: DeployShardInput): Promise<Counts> {
  const { workflowId, parent } = workflowInfo();
  const inbox: HostReport[] = [];
  setHandler(heartbeatSignal, (report) => {
    inbox.push(report);
  });
  const lane = new Lane(input.operationId);
  const place = new PlaceHolder(input, parent?.workflowId ?? null);
  const board = new Board();
  const ledger = new ShardLedger(input, board);
  const shard: Shard = { input, workflowId, ledger, board, place, inbox };
  let begun = false;
  try {
    if (!input.turn) {
      board.waitFor(`its turn on host \`${input.hostName}\`: an operation that was accepted before still works there`);
      await lane.enter(input.hostUuid);
    }
    begun = true;
    await converge(shard);
  } catch (failure) {
    await CancellationScope.nonCancellable(() => endOpenRows(shard, failure, begun));
  }
  await CancellationScope.nonCancellable(() => ledger.settle());
  return board.counts;
}

/** Whatever went wrong, no row is left open. */
async function endOpenRows(
  { input, workflowId, ledger, board }: Shard,
  failure: unknown,
  begun: boolean,
): Promise<void> {
  if (!ledger.known) ledger.expect(await openRows({ workflowId }));
  const end = begun
    ? `; what was sent to host ${input.hostName} before goes on there.`
    : ` before host ${input.hostName} was begun.`;
  const error = isCancellation(failure)
    ? errorText('Cancelled', `the deployment was cancelled${end}`)
    : rowError(failure, 'progress_deadline');
  board.waitFor(null);
  for (const row of ledger.open) ledger.fail(row.deckyName, error, null);
}
