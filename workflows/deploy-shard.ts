/** The child that does one host of a deployment (`deploy/<id>/host/<host_uuid>`): its turn, dispatch, reports, end. */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { HostReport } from '../fleet/agent-wire.ts';
import { errorText } from '../fleet/errors.ts';
import { openRows } from './activities.ts';
import { Board } from './board.ts';
import { converge } from './converge.ts';
import type { Counts } from './ended-rows.ts';
import { Lane } from './lane.ts';
import { heartbeatSignal } from './messages.ts';
import { PlaceHolder } from './place-holder.ts';
import { rowError } from './row-error.ts';
import type { Shard } from './shard.ts';
import type { DeployShardInput, ShardCarry } from './shard-input.ts';
import { ShardLedger } from './shard-ledger.ts';

export async function deployShard(input: DeployShardInput): Promise<Counts> {
  const outcome = await workOnShard(input);
  await condition(allHandlersFinished);
  if (!('watch' in outcome)) return outcome;
  return continueAsNew<typeof deployShard>({ ...input, carry: outcome });
}

/**
 * Resolves when no row of it is open and its lane is left, also where the workflow is cancelled; or, where its history is long, with
 * what the next run goes on from: its rows are open then, and the lane is its own.
 */
export async function workOnShard(input: DeployShardInput): Promise<Counts | ShardCarry> {
  const { workflowId, parent } = workflowInfo();
  const inbox: HostReport[] = [];
  setHandler(heartbeatSignal, (report) => {
    inbox.push(report);
  });
  const lane = new Lane(input.operationId);
  const place = new PlaceHolder(input, parent?.workflowId ?? null);
  const board = new Board(input.carry);
  const ledger = new ShardLedger(input, board);
  const shard: Shard = { input, workflowId, ledger, board, place, inbox };
  let begun = false;
  try {
    if (!input.turn && !input.carry) {
      board.waitFor(`its turn on host \`${input.hostName}\`: an operation that was accepted before still works there`);
      await lane.enter(input.hostUuid);
    }
    begun = true;
    const carry = await converge(shard);
    if (carry) return carry;
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
