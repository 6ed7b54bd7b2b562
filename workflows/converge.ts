/** From a shard's turn to the end of its last row: dispatch, reports, and asking where reports don't come. */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  patched,
  sleep,
} from '@temporalio/workflow';
import type { Dispatched, HostSight } from '../activities/agents.ts';
import { attemptBoundMs } from '../fleet/attempt-bound.ts';
import { errorText } from '../fleet/errors.ts';
import { onAgent, openRows } from './activities.ts';
import { ASK_AFTER_MS, deadlineOf, endByDeadline, newWatch, takeIn, takeSight, type Watch } from './beliefs.ts';
import { ASK, AWAIT_HOST, DISPATCH } from './profiles.ts';
import { recall } from './recall.ts';
import type { Shard } from './shard.ts';

/** A cancelled shard has its host take back what is not done; before, it went on there. */
const RECALLS = 'cancelled-shards-recall';
/** Histories from before recall while what was reported is being written. */
const WRITTEN_FIRST = 'recall-after-reports';
/** While a host does not answer. */
const ASK_AGAIN_MS = 8_000;
/** An agent that forgets an order again and again (its disk is gone) gets it this often. */
const ATTEMPTS = 10;

const isFailureOf = (failure: unknown, type: string): boolean =>
  failure instanceof ActivityFailure && failure.cause instanceof ApplicationFailure && failure.cause.type === type;

export async function converge(shard: Shard): Promise<void> {
  const watch = newWatch(Date.now());
  try {
    await untilAllEnded(shard, watch);
  } catch (failure) {
    if (isCancellation(failure) && patched(RECALLS))
      await CancellationScope.nonCancellable(() => takeBack(shard, watch));
    throw failure;
  }
}

/** What was reported before counts: the host is to keep it, and is told so by what the books have as established. */
async function takeBack(shard: Shard, watch: Watch): Promise<void> {
  if (patched(WRITTEN_FIRST)) {
    takeIn(shard.inbox.splice(0), shard.ledger, watch);
    await shard.ledger.drain();
  }
  await recall(shard, watch);
}

async function untilAllEnded(shard: Shard, watch: Watch): Promise<void> {
  await dispatch(shard, watch);
  while (shard.ledger.open.length > 0) {
    const came = await condition(() => shard.inbox.length > 0, Math.max(1, nextWake(shard, watch) - Date.now()));
    if (came) takeIn(shard.inbox.splice(0), shard.ledger, watch);
    else if (Date.now() >= watch.nextAsk) await ask(shard, watch);
    endByDeadline(shard.input, shard.ledger, watch);
    shard.ledger.flush();
  }
}

const nextWake = ({ input }: Shard, watch: Watch): number => Math.min(watch.nextAsk, deadlineOf(input, watch));

/** Sends the host's whole desired set; waits for a host that does not answer, without holding a place. */
async function dispatch(shard: Shard, watch: Watch): Promise<void> {
  const { input, board, ledger, place, workflowId } = shard;
  const { hostUuid, operationId, hostName } = input;
  watch.attempt += 1;
  // An agent that lost its disk counts from one again.
  watch.sequences.clear();
  for (let tries = 0; ; tries += 1) {
    if (tries > 1) await sleep(Math.min(tries * 1_000, ASK_AGAIN_MS));
    await place.take();
    board.waitFor(`host \`${hostName}\` to take the order`);
    try {
      const sent = await onAgent(DISPATCH, `order to ${hostName}`).dispatchShard({
        hostUuid,
        operationId,
        workflowId,
        attempt: watch.attempt,
      });
      return dispatched(shard, watch, sent);
    } catch (failure) {
      if (!isFailureOf(failure, 'HostUnreachable') && !isFailureOf(failure, 'HostSilent')) throw failure;
    }
    if (!ledger.known) ledger.expect(await openRows({ workflowId }));
    await place.yield();
    if (!(await untilItAnswers(shard, watch))) return lose(shard, watch);
    endByDeadline(shard.input, shard.ledger, watch);
    if (ledger.open.length === 0) return;
  }
}

function dispatched(shard: Shard, watch: Watch, sent: Dispatched): void {
  const { ledger, board, input } = shard;
  ledger.expect(sent.rows);
  const now = Date.now();
  Object.assign(watch, {
    fenced: sent.fenced,
    dispatchedAt: now,
    boundMs: attemptBoundMs(input, sent.rows.length),
    lastSign: now,
    lastProgress: now,
    nextAsk: now + ASK_AFTER_MS,
  });
  watch.begun.clear();
  watch.seenSteps.clear();
  watch.doubts.clear();
  watch.suspects.clear();
  if (sent.answer === 'done') for (const row of ledger.open) ledger.succeed(row.deckyName, null);
  board.waitFor(
    ledger.open.length > 0
      ? `reports of host \`${input.hostName}\` on ${ledger.open
          .map((row) => row.deckyName)
          .slice(0, 20)
          .join(', ')}`
      : null,
  );
}

/** True once the host answers; false when it gave no sign of life for `host_lost_after`. */
async function untilItAnswers(shard: Shard, watch: Watch): Promise<boolean> {
  const { input, board } = shard;
  const { hostUuid, hostName, hostLostAfterMs } = input;
  for (;;) {
    const left = watch.lastSign + hostLostAfterMs - Date.now();
    if (left <= 0) return false;
    board.waitFor(`host \`${hostName}\`, which does not answer, until ${new Date(Date.now() + left).toISOString()}`);
    try {
      await onAgent(AWAIT_HOST(left), `wait for ${hostName}`).awaitHost({ hostUuid });
      watch.lastSign = Date.now();
      return true;
    } catch (failure) {
      if (!(failure instanceof ActivityFailure)) throw failure;
    }
    // It may have sent heartbeats meanwhile, though nobody gets through to it.
    const sight = await look(shard, watch);
    if (sight.reachable) return true;
  }
}

async function lose(shard: Shard, watch: Watch): Promise<void> {
  const { input, ledger } = shard;
  const silent = Math.round((Date.now() - watch.lastSign) / 1_000);
  const error = errorText(
    'HostLost',
    `host ${input.hostName} gave no sign of life for ${silent} s (host_lost_after is ${input.hostLostAfterMs / 1_000} s), so that what runs there is unknown; it is shown as it is once the host is back.`,
  );
  for (const row of ledger.open) ledger.fail(row.deckyName, error, null);
  await onAgent(ASK, `give up ${input.hostName}`)
    .giveHostUp({ hostUuid: input.hostUuid })
    .catch(() => undefined);
}

/** What the host says of this attempt; an answer, or a heartbeat meanwhile, is a sign of life. */
async function look({ input, workflowId }: Shard, watch: Watch): Promise<HostSight> {
  const { hostUuid, hostName, operationId } = input;
  const { attempt } = watch;
  const sight = await onAgent(ASK, `ask ${hostName}`).askHost({ hostUuid, operationId, workflowId, attempt });
  watch.lastSign = Math.max(watch.lastSign, sight.lastSignMs ?? 0);
  return sight;
}

/** Silence is not an end: the agent says what runs, and what that proves is settled. */
async function ask(shard: Shard, watch: Watch): Promise<void> {
  const { input, place } = shard;
  const sight = await look(shard, watch);
  if (shard.inbox.length > 0) return;
  if (!sight.reachable) return unanswered(shard, watch, sight);
  watch.fenced = watch.fenced || sight.fenced;
  await place.take();
  watch.nextAsk = Date.now() + ASK_AFTER_MS;
  if (!sight.known) return again(shard, watch);
  takeSight(sight, input, shard.ledger, watch);
}

async function unanswered(shard: Shard, watch: Watch, sight: HostSight): Promise<void> {
  const { input, board, place } = shard;
  await place.yield();
  const lostAt = watch.lastSign + input.hostLostAfterMs;
  if (Date.now() >= lostAt) return lose(shard, watch);
  const until = new Date(lostAt).toISOString();
  board.waitFor(`host \`${input.hostName}\`, which does not answer (${sight.sentence ?? 'no reason'}), until ${until}`);
  watch.nextAsk = Math.min(Date.now() + ASK_AGAIN_MS, lostAt);
}

/** The agent knows nothing of the order: its disk is gone, or it was made anew. */
async function again(shard: Shard, watch: Watch): Promise<void> {
  if (watch.attempt >= ATTEMPTS) {
    const error = errorText(
      'HostRefused',
      `host ${shard.input.hostName} took the order ${watch.attempt} times and forgot it each time; look at its agent's disk.`,
    );
    for (const row of shard.ledger.open) shard.ledger.fail(row.deckyName, error, null);
    return;
  }
  if (watch.attempt > 1) await sleep('5s');
  await dispatch(shard, watch);
}
