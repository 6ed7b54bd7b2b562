/**
 * How a step of a shard is made: what changes in the state, what is asked for, and the ways in which rows end.
 *
 * 1. Changes and requests.
 * 2. The ends: deadlines, an unreachable host, failures that no retry cures, a cancellation.
 */
import { errorText } from './errors.ts';
import { STATUS } from './lifecycle.ts';
import { deadlineOf, isOver, type ShardEffect, type ShardPhase, type ShardState } from './shard-model.ts';
import { failed, givenUp, type RowEnd, type ShardRow } from './shard-rows.ts';

/** One step in the making. */
export interface Work {
  readonly now: number;
  state: ShardState;
  readonly effects: ShardEffect[];
}

export const set = (work: Work, changes: Partial<ShardState>): void => {
  work.state = { ...work.state, ...changes };
};

/** Asks for something that an event answers. */
export function request(work: Work, phase: ShardPhase, effectOf: (request: number) => ShardEffect): void {
  const number = work.state.lastRequest + 1;
  set(work, { phase, pending: number, lastRequest: number });
  work.effects.push(effectOf(number));
}

export function abort(work: Work): void {
  if (work.state.pending === null) return;
  set(work, { pending: null });
  work.effects.push({ type: 'abort' });
}

export function endRows(work: Work, ends: readonly (readonly [ShardRow, RowEnd])[]): void {
  if (ends.length === 0) return;
  const named = (status: RowEnd['status']): string[] =>
    ends.filter(([, end]) => end.status === status).map(([row]) => row.deckyName);
  set(work, {
    done: [...work.state.done, ...named(STATUS.succeeded)],
    failed: [...work.state.failed, ...named(STATUS.failed)],
  });
  for (const [{ lifecycleId, deckyName }, end] of ends)
    work.effects.push({ type: 'endRow', transition: { lifecycleId, deckyName, ...end } });
}

export function endAll(work: Work, end: RowEnd): void {
  const { rows } = work.state;
  set(work, { rows: [] });
  endRows(
    work,
    rows.map((row) => [row, end]),
  );
}

/** It ends once no row is open and nothing is under way; only an order's way is waited for, and an answer. */
export function finish(work: Work): void {
  const { phase, pending, rowsKnown, rows } = work.state;
  if (isOver(work.state) || !rowsKnown || rows.length > 0) return;
  if (pending !== null && phase !== 'awaiting') return;
  abort(work);
  set(work, { phase: 'ended' });
}

export function readRows(work: Work): void {
  request(work, 'rows', (number) => ({ type: 'readRows', request: number }));
}

/** The deadline has passed, and the host was asked after it. */
export const isOverdue = ({ now, state }: Work): boolean =>
  now >= deadlineOf(state) && state.lastAsk >= deadlineOf(state);

export function endByDeadline(work: Work): void {
  const { now, state } = work;
  const { hostName, progressDeadlineMs } = state.terms;
  const sentence =
    now < state.lastProgress + progressDeadlineMs
      ? `host ${hostName} did not end its work within ${state.boundMs / 1_000} s, though it went on reporting; that is the longest that progress_deadline and healthy_deadline allow.`
      : `host ${hostName} reported nothing new for ${progressDeadlineMs / 1_000} s (progress_deadline).`;
  endAll(work, givenUp(errorText('ProgressDeadline', withReason(sentence, state))));
}

const withReason = (sentence: string, { reason }: ShardState): string =>
  reason ? `${sentence} The last try: ${reason}` : sentence;

export function lose(work: Work): void {
  const { now, state } = work;
  const { hostName, hostLostAfterMs } = state.terms;
  const silentS = Math.round((now - state.lastSign) / 1_000);
  const sentence = `host ${hostName} gave no sign of life for ${silentS} s (host_lost_after is ${hostLostAfterMs / 1_000} s), so that what runs there is unknown; it is shown as it is once the host is back.`;
  work.effects.push({ type: 'giveHostUp' });
  endAll(work, givenUp(errorText('HostLost', withReason(sentence, state))));
}

/** No retry cures it: the host was removed, is another one, or refuses. What it does with what was sent before is not known. */
export function endBecause(work: Work, error: string): void {
  abort(work);
  const ending = work.state.attempt > 0 ? givenUp(error) : failed(error, null);
  set(work, { ending });
  if (work.state.rowsKnown) endAll(work, ending);
  else readRows(work);
}

export function cancel(work: Work): void {
  const { state } = work;
  if (state.cancelled || state.ending) return;
  set(work, { cancelled: true });
  if (state.attempt === 0) {
    const sentence = `the deployment was cancelled before host ${state.terms.hostName} was begun.`;
    endBecause(work, errorText('Cancelled', sentence));
    return;
  }
  abort(work);
  if (state.rowsKnown) recall(work);
  else readRows(work);
}

/** The host is to take back what is not done. That is a later attempt: an order that arrives after it is refused there. */
export function recall(work: Work): void {
  if (work.state.rows.length === 0) return;
  const attempt = work.state.attempt + 1;
  request(work, 'recalling', (number) => ({ type: 'recall', request: number, attempt }));
}

export function recalled(work: Work, isTakenBack: boolean): void {
  const { hostName } = work.state.terms;
  const end = isTakenBack
    ? `host ${hostName} takes back what was not done.`
    : `what was sent to host ${hostName} before goes on there.`;
  const error = errorText('Cancelled', `the deployment was cancelled; ${end}`);
  endAll(work, isTakenBack ? failed(error, null) : givenUp(error));
}
