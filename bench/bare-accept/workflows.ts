/** Ends as soon as its update has been answered. */
import {
  allHandlersFinished,
  condition,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
} from '@temporalio/workflow';
import { type BareActivities, type BareInput, bareAcceptUpdate } from './messages.ts';

const remote = proxyActivities<BareActivities>({ startToCloseTimeout: '10s' });
const local = proxyLocalActivities<BareActivities>({ startToCloseTimeout: '10s' });

export async function bareAccept(input: BareInput): Promise<void> {
  let accepted = false;
  setHandler(bareAcceptUpdate, async () => {
    await (input.local ? local : remote).insert({ id: input.id });
    accepted = true;
    return { accepted: true as const };
  });
  await condition(() => accepted && allHandlersFinished());
}
