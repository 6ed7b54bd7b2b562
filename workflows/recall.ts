/** The end of a shard that was cancelled after its order was sent. */
import { errorText } from '../fleet/errors.ts';
import { onAgent, openRows } from './activities.ts';
import { RECALL } from './profiles.ts';
import type { Shard } from './shard.ts';
import type { Watch } from './shard-input.ts';

/** Has the host take back what is not done, and ends every open row with what can be said of it. Never throws. */
export async function recall({ input, workflowId, ledger, board }: Shard, watch: Watch): Promise<void> {
  const { hostUuid, hostName, operationId } = input;
  board.waitFor(`host \`${hostName}\` to take back what is not done`);
  // Later than whatever is on its way: an order that arrives after this one is refused there.
  const attempt = watch.attempt + 1;
  const recalled = await onAgent(RECALL, `recall from ${hostName}`)
    .recallShard({ hostUuid, operationId, workflowId, attempt })
    .catch(() => false);
  const end = recalled
    ? `host ${hostName} takes back what was not done.`
    : `what was sent to host ${hostName} before goes on there.`;
  if (!ledger.known) ledger.expect(await openRows({ workflowId }));
  board.waitFor(null);
  const error = errorText('Cancelled', `the deployment was cancelled; ${end}`);
  for (const row of ledger.open) {
    if (recalled) ledger.fail(row.deckyName, error, null);
    else ledger.giveUp(row.deckyName, error);
  }
}
