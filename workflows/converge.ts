/**
 * From a shard's turn to the end of its last row: dispatch, reports, and asking where reports don't come. What was reported is
 * taken in before any deadline is judged, and only dispatching needs one of the deployment's places.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
} from '@temporalio/workflow';
import type { Dispatched, HostSight } from '../activities/agents.ts';
import { errorText } from '../fleet/errors.ts';
import { attemptBoundMs } from '../fleet/limits.ts';
import { onAgent, openRows } from './activities.ts';
import {
  askPauseMs,
  deadlineOf,
  endByDeadline,
  failedPauseMs,
  lostAt,
  newWatch,
  nextWake,
  takeIn,
  takeSight,
} from './beliefs.ts';
import { ASK, AWAIT_HOST, DISPATCH } from './profiles.ts';
import { recall } from './recall.ts';
import { rowError } from './row-error.ts';
import type { Shard } from './shard.ts';
import { fromCarry, isLong, toCarry } from './shard-carry.ts';
import type { ShardCarry, Watch } from './shard-input.ts';

/** An agent that forgets an order again and again (its disk is gone) gets it this often. */
const ATTEMPTS = 10;

/** The order did not get through, and may when it is sent again. */
const TRY_AGAIN = /^Host(Unreachable|Silent|Failed)$/;

const causeOf = (failure: unknown): ApplicationFailure | null =>
  failure instanceof ActivityFailure && failure.cause instanceof ApplicationFailure ? failure.cause : null;

/** Null once no row is open; else what the next run of the workflow goes on from, since this one's history is long. */
export async function converge(shard: Shard): Promise<ShardCarry | null> {
  const { input, ledger } = shard;
  const watch = input.carry ? fromCarry(input.carry) : newWatch(Date.now());
  try {
    if (input.carry) ledger.expect(await openRows({ workflowId: shard.workflowId }));
    else await dispatch(shard, watch);
    return await untilAllEnded(shard, watch);
  } catch (failure) {
    if (isCancellation(failure)) await CancellationScope.nonCancellable(() => takeBack(shard, watch));
    else await CancellationScope.nonCancellable(() => endUnsure(shard, watch, failure));
    throw failure;
  }
}

/** What was reported before counts: the host is to keep it, and is told so by what the books have as established. */
async function takeBack(shard: Shard, watch: Watch): Promise<void> {
  news(shard, watch);
  await shard.ledger.drain();
  await recall(shard, watch);
}

/** No retry cures it: the host was removed, is another one, or refuses. What it does with what was sent before is not known. */
async function endUnsure(shard: Shard, watch: Watch, failure: unknown): Promise<void> {
  const { ledger, workflowId } = shard;
  if (!ledger.known) ledger.expect(await openRows({ workflowId }));
  news(shard, watch);
  for (const row of ledger.open) ledger.giveUp(row.deckyName, rowError(failure, 'progress_deadline'));
}

async function untilAllEnded(shard: Shard, watch: Watch): Promise<ShardCarry | null> {
  const { input, ledger } = shard;
  for (;;) {
    news(shard, watch);
    endByDeadline(input, ledger, watch, Date.now());
    ledger.flush();
    if (ledger.open.length === 0) return null;
    if (isLong(input)) {
      await ledger.drain();
      if (shard.inbox.length > 0) continue;
      return toCarry(shard, watch);
    }
    const now = Date.now();
    if (now >= nextWake(input, watch)) await ask(shard, watch);
    else await condition(() => shard.inbox.length > 0, nextWake(input, watch) - now);
  }
}

/** Takes in what came by signal; true where something of it was new. Before the rows are known nothing can be about them. */
const news = ({ inbox, ledger }: Shard, watch: Watch): boolean =>
  ledger.known && takeIn(inbox.splice(0), ledger, watch, Date.now());

/** Sends the host's whole desired set; waits for a host that does not answer, without holding a place. */
async function dispatch(shard: Shard, watch: Watch): Promise<void> {
  const { input, board, ledger, place } = shard;
  for (let tries = 0; ; tries += 1) {
    if (!(await takePlace(shard, watch))) return;
    if (tries === 0) newAttempt(watch, Date.now());
    board.waitFor(`host \`${input.hostName}\` to take the order`);
    try {
      return dispatched(shard, watch, await send(shard, watch));
    } catch (failure) {
      const cause = causeOf(failure);
      if (!cause || cause.nonRetryable || !TRY_AGAIN.test(cause.type ?? '')) throw failure;
      watch.why = cause.message;
    }
    if (!ledger.known) ledger.expect(await openRows({ workflowId: shard.workflowId }));
    await place.yield();
    if (await isHeard(shard, watch, tries)) return;
    endByDeadline(input, ledger, watch, Date.now());
    ledger.flush();
    if (ledger.open.length === 0) return;
  }
}

/** An agent that lost its disk counts from one again. */
function newAttempt(watch: Watch, now: number): void {
  watch.attempt += 1;
  watch.sequences.clear();
  // Waiting for a place is not the host's silence.
  Object.assign(watch, { lastSign: now, lastProgress: now });
}

/** Resolves when the shard has a place; false: its last row ended before. */
async function takePlace(shard: Shard, watch: Watch): Promise<boolean> {
  const { place, board, ledger, inbox, input } = shard;
  while (!place.holds) {
    await place.want();
    board.waitFor(`one of the deployment’s places (max_parallel) for host \`${input.hostName}\``);
    await condition(() => place.holds || (ledger.known && inbox.length > 0));
    news(shard, watch);
    ledger.flush();
    if (ledger.known && ledger.open.length === 0) return false;
  }
  return true;
}

const send = ({ input, workflowId, ledger }: Shard, watch: Watch): Promise<Dispatched> =>
  onAgent(DISPATCH, `order to ${input.hostName}`).dispatchShard({
    hostUuid: input.hostUuid,
    operationId: input.operationId,
    workflowId,
    attempt: watch.attempt,
    rowsKnown: ledger.known,
    retryUntil: deadlineOf(input, watch),
  });

/** After an order that may not have got through: true where the host has it all the same, or all is over. */
async function isHeard(shard: Shard, watch: Watch, tries: number): Promise<boolean> {
  const { input, ledger } = shard;
  const sight = await look(shard, watch);
  const reported = news(shard, watch);
  if (ledger.open.length === 0) return true;
  if (reported || sight.has) {
    begin(shard, watch, true);
    return true;
  }
  if (!sight.reachable) {
    if (Date.now() >= lostAt(input, watch)) {
      await lose(shard, watch);
      return true;
    }
    await untilItAnswers(shard, watch);
  }
  const pause = Math.min(failedPauseMs(tries), Math.max(1, deadlineOf(input, watch) - Date.now()));
  if (pause > 0 && shard.inbox.length === 0) await condition(() => shard.inbox.length > 0, pause);
  if (!news(shard, watch)) return ledger.open.length === 0;
  begin(shard, watch, true);
  return true;
}

function begin({ input, ledger }: Shard, watch: Watch, fenced: boolean): void {
  const now = Date.now();
  watch.boundMs = attemptBoundMs(input, ledger.open.length);
  const next = { dispatchedAt: now, lastSign: now, lastProgress: now, nextAsk: now + askPauseMs(0) };
  Object.assign(watch, next, { fenced, why: null, failedAsks: 0 });
  watch.begun.clear();
  watch.seenSteps.clear();
  watch.doubts.clear();
  watch.suspects.clear();
}

function dispatched(shard: Shard, watch: Watch, sent: Dispatched): void {
  const { ledger } = shard;
  ledger.expect(sent.rows);
  begin(shard, watch, sent.fenced);
  if (sent.answer === 'done') for (const row of ledger.open) ledger.succeed(row.deckyName, null);
  showOpen(shard);
}

function showOpen({ ledger, board, input }: Shard): void {
  const names = ledger.open.map((row) => row.deckyName).slice(0, 20);
  board.waitFor(names.length > 0 ? `reports of host \`${input.hostName}\` on ${names.join(', ')}` : null);
}

/**
 * The one way in which a shard waits for a host that does not answer: an activity whose tries leave no history. It ends when the
 * host answers, when a report comes, and when the host counts as lost or the deadline has come.
 */
async function untilItAnswers(shard: Shard, watch: Watch): Promise<void> {
  const { input, board, workflowId, inbox } = shard;
  const { hostUuid, hostName, operationId } = input;
  const until = lostAt(input, watch);
  const why = watch.why ?? 'no reason';
  board.waitFor(`host \`${hostName}\`, which does not answer, until ${new Date(until).toISOString()}: ${why}`);
  const waitMs = Math.max(1, Math.min(until, deadlineOf(input, watch)) - Date.now());
  const waiting = new CancellationScope();
  try {
    await waiting.run(() =>
      Promise.race([
        onAgent(AWAIT_HOST(waitMs), `wait for ${hostName}`)
          .awaitHost({ hostUuid, workflowId, operationId, until })
          .then(() => {
            watch.lastSign = Date.now();
          }),
        condition(() => inbox.length > 0),
      ]),
    );
  } catch (failure) {
    // Only that the time is up leads to another look.
    if (isCancellation(failure) || causeOf(failure)?.nonRetryable) throw failure;
  } finally {
    waiting.cancel();
  }
}

async function lose(shard: Shard, watch: Watch): Promise<void> {
  const { input, ledger } = shard;
  const silent = Math.round((Date.now() - watch.lastSign) / 1_000);
  const error = errorText(
    'HostLost',
    `host ${input.hostName} gave no sign of life for ${silent} s (host_lost_after is ${input.hostLostAfterMs / 1_000} s), so that what runs there is unknown; it is shown as it is once the host is back.${watch.why ? ` The last try: ${watch.why}` : ''}`,
  );
  for (const row of ledger.open) ledger.giveUp(row.deckyName, error);
  await onAgent(ASK, `give up ${input.hostName}`)
    .giveHostUp({ hostUuid: input.hostUuid })
    .catch(() => undefined);
}

/** What the host says of this attempt; an answer, or a heartbeat meanwhile, is a sign of life. Throws what no retry cures. */
async function look({ input, workflowId }: Shard, watch: Watch): Promise<HostSight> {
  const { hostUuid, hostName, operationId } = input;
  const { attempt } = watch;
  const sight = await onAgent(ASK, `ask ${hostName}`).askHost({ hostUuid, operationId, workflowId, attempt });
  watch.lastSign = Math.max(watch.lastSign, sight.lastSignMs ?? 0);
  watch.lastAsk = Date.now();
  return sight;
}

/** Silence is not an end: the agent says what runs, and what that proves is settled. */
async function ask(shard: Shard, watch: Watch): Promise<void> {
  const { input, ledger, place } = shard;
  const sight = await look(shard, watch);
  const reported = news(shard, watch);
  if (ledger.open.length === 0) return;
  if (!sight.reachable) return unanswered(shard, watch, sight);
  if (watch.failedAsks > 0) showOpen(shard);
  Object.assign(watch, { failedAsks: 0, why: null, fenced: watch.fenced || sight.fenced });
  // Hosts that were not begun yet wait for this one again; it waits for nobody, since it only listens.
  await place.want();
  const now = Date.now();
  if (!sight.known) {
    // What it reported a moment ago it must have known.
    if (!reported) return again(shard, watch);
    watch.nextAsk = now + askPauseMs(0);
    return;
  }
  watch.nextAsk = now + askPauseMs(now - watch.lastProgress);
  takeSight(sight, input, ledger, watch, now);
  if (sight.more) watch.nextAsk = now;
}

async function unanswered(shard: Shard, watch: Watch, sight: HostSight): Promise<void> {
  const { input, place } = shard;
  watch.why = sight.sentence;
  if (Date.now() >= lostAt(input, watch)) return lose(shard, watch);
  await place.yield();
  await untilItAnswers(shard, watch);
  // An agent that answers one question and not the next is not asked without a pause.
  watch.nextAsk = Date.now() + failedPauseMs(watch.failedAsks);
  watch.failedAsks += 1;
}

/** The agent knows nothing of the order: its disk is gone, or it was made anew. */
async function again(shard: Shard, watch: Watch): Promise<void> {
  if (watch.attempt >= ATTEMPTS) {
    const error = errorText(
      'HostRefused',
      `host ${shard.input.hostName} took the order ${watch.attempt} times and forgot it each time; look at its agent's disk.`,
    );
    for (const row of shard.ledger.open) shard.ledger.giveUp(row.deckyName, error);
    return;
  }
  if (watch.attempt > 1) await condition(() => shard.inbox.length > 0, '5s');
  if (news(shard, watch)) return;
  await dispatch(shard, watch);
}
