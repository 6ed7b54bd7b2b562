/**
 * A host's share of a deployment, from its turn to the end of its last row, as a reducer: {@link step} takes the state and an
 * event, and returns the next state and the effects. No timer, signal or activity is here; workflows/shard.ts performs the effects.
 *
 * 1. `step`: one event after another.
 * 2. Sending the order, until the host has it.
 * 3. Listening: reports, and asking where they do not come.
 * 4. A request that failed: what follows from it. How rows end is shard-work.ts.
 * 5. What the next run of the workflow goes on from.
 *
 * Only a `tick` judges deadlines, and it comes when no other event waits: what was reported is taken in before.
 */
import type { DeckyReport } from './agent-wire.ts';
import { errorText } from './errors.ts';
import { attemptBoundMs, MOST_YIELDS } from './limits.ts';
import {
  deadlineOf,
  isOver,
  lostAt,
  type RequestFailure,
  type ShardEvent,
  type ShardState,
  type ShardStep,
  type SlotState,
} from './shard-model.ts';
import {
  freshRow,
  givenUp,
  type RowFacts,
  type ShardObservation,
  type ShardRow,
  succeeded,
  takeObservation,
  takeReports,
} from './shard-rows.ts';
import {
  abort,
  cancel,
  endAll,
  endBecause,
  endByDeadline,
  endRows,
  finish,
  isOverdue,
  lose,
  readRows,
  recall,
  recalled,
  request,
  set,
  type Work,
} from './shard-work.ts';

/** The agent is asked after so long without news: a report that was lost is found out within a minute. */
const ASK_AFTER_MS = 30_000;
/** The longest pause between two questions while all is well. A deadline of 24 h has some 300 questions then. */
const LONGEST_ASK_PAUSE_MS = 300_000;
/** The pause grows to this share of the time in which nothing moved. */
const ASK_PAUSE_SHARE = 0.25;
const FIRST_FAILED_PAUSE_MS = 1_000;
/** Before an order is sent as a third or later attempt. */
const NEXT_ATTEMPT_PAUSE_MS = 5_000;
/** An agent that forgets an order again and again (its disk is gone) gets it this often. */
const MOST_ATTEMPTS = 10;
/** The order did not get through, and may when it is sent again. */
const SEND_AGAIN: ReadonlySet<string | null> = new Set(['HostUnreachable', 'HostSilent', 'HostFailed']);
/** An older step that comes again counts as progress; the attempt's bound holds all the same. */
const MOST_STEPS = 10_000;
/** A suspicion's text in what the next run is given: there may be one for each decky. */
const LONGEST_CARRIED_SUSPICION = 200;

/** Until the agent is asked again of which nothing new was heard for `quietMs`. */
export const askPauseMs = (quietMs: number): number =>
  Math.min(LONGEST_ASK_PAUSE_MS, Math.max(ASK_AFTER_MS, quietMs * ASK_PAUSE_SHARE));

/** Until a host is tried again that answered one question and failed at another, `failures` times before this one. */
export const failedPauseMs = (failures: number): number =>
  failures === 0 ? 0 : Math.min(LONGEST_ASK_PAUSE_MS, FIRST_FAILED_PAUSE_MS * 2 ** Math.min(failures, 20));

export function step(state: ShardState, event: ShardEvent, now: number): ShardStep {
  const isLate = 'request' in event && event.request !== state.pending;
  if (isOver(state) || isLate) return { state, effects: [] };
  const work: Work = { now, state: 'request' in event ? { ...state, pending: null } : state, effects: [] };
  take(work, event);
  finish(work);
  sleep(work);
  return { state: work.state, effects: work.effects };
}

function take(work: Work, event: ShardEvent): void {
  switch (event.type) {
    case 'started':
      start(work, event.turn);
      break;
    case 'turn':
      order(work);
      break;
    case 'slotGranted':
      takeSlot(work, event.forGood);
      break;
    case 'rows':
      rowsRead(work, event.rows);
      break;
    case 'dispatched':
      dispatched(work, event);
      break;
    case 'report':
      reported(work, event.reports);
      break;
    case 'observation':
      observed(work, event.observation);
      break;
    case 'answered':
      set(work, { lastSign: work.now });
      waited(work);
      break;
    case 'recalled':
      recalled(work, event.recalled);
      break;
    case 'failed':
      requestFailed(work, event.failure);
      break;
    case 'tick':
      tick(work);
      break;
    case 'cancelled':
      cancel(work);
      break;
    case 'historyLong':
      carryOn(work);
      break;
  }
}

function sleep(work: Work): void {
  const at = tickAt(work.state);
  if (at === work.state.sleepUntil) return;
  set(work, { sleepUntil: at });
  work.effects.push({ type: 'sleepUntil', at });
}

function tickAt(state: ShardState): number | null {
  switch (state.phase) {
    case 'listening':
      return Math.min(state.nextAsk, deadlineOf(state));
    case 'pausing':
      return state.pauseUntil;
    case 'unreachable':
      return state.lastAsk;
    default:
      return null;
  }
}

function tick(work: Work): void {
  const { now, state } = work;
  if (now < (tickAt(state) ?? Number.POSITIVE_INFINITY)) return;
  // An attempt that is to follow has a deadline of its own.
  const isJudged = state.phase !== 'pausing' || !state.ordered;
  if (state.phase === 'unreachable' && now >= lostAt(state)) lose(work);
  else if (isJudged && isOverdue(work)) endByDeadline(work);
  else if (state.phase === 'listening') ask(work);
  else if (state.phase === 'pausing') order(work);
  else awaitHost(work);
}

/** A run before this one has left rows open; else it begins with its turn. One that was cancelled before reads its rows already. */
function start(work: Work, hasTurn: boolean): void {
  if (work.state.cancelled) return;
  if (work.state.attempt > 0) readRows(work);
  else if (hasTurn) order(work);
  else request(work, 'turn', (number) => ({ type: 'awaitTurn', request: number }));
}

// --- Sending the order -----------------------------------------------------------------------------------------------------

/** Sends the host's whole desired set, once the shard has a slot. */
function order(work: Work): void {
  if (!hasSlot(work.state.slot)) {
    set(work, { phase: 'slot' });
    wantSlot(work);
    return;
  }
  if (work.state.tries === 0) newAttempt(work);
  const { attempt, rowsKnown } = work.state;
  const retryUntil = deadlineOf(work.state);
  request(work, 'sending', (number) => ({ type: 'dispatch', request: number, attempt, rowsKnown, retryUntil }));
}

/** An agent that lost its disk counts from one again. Waiting for a slot is not the host's silence. */
function newAttempt(work: Work): void {
  const { now, state } = work;
  set(work, {
    attempt: state.attempt + 1,
    ordered: false,
    heard: false,
    rows: state.rows.map(freshRow),
    steps: [],
    lastSign: now,
    lastProgress: now,
  });
}

const hasSlot = ({ bounded, holds }: SlotState): boolean => !bounded || holds;

/** Asks for a slot, once, and does not wait for it. */
function wantSlot(work: Work): void {
  const { slot } = work.state;
  if (hasSlot(slot) || slot.asked) return;
  set(work, { slot: { ...slot, asked: true } });
  work.effects.push({ type: 'wantSlot' });
}

/** Gives the slot back, or the wish for one, while nothing can be done. */
function yieldSlot(work: Work): void {
  const { bounded, holds, asked, yields } = work.state.slot;
  if (!bounded || !(holds || asked) || yields >= MOST_YIELDS) return;
  set(work, { slot: { bounded, holds: false, asked: false, yields: yields + 1 } });
  work.effects.push({ type: 'yieldSlot' });
}

function takeSlot(work: Work, forGood: boolean): void {
  const { slot, phase } = work.state;
  // One that was given back meanwhile is nobody's.
  if (!slot.asked) return;
  set(work, { slot: { ...slot, holds: true, asked: false, yields: forGood ? MOST_YIELDS : slot.yields } });
  if (phase === 'slot') order(work);
}

function dispatched(work: Work, { rows, answer, fenced }: Extract<ShardEvent, { type: 'dispatched' }>): void {
  knowRows(work, rows);
  acknowledge(work, fenced);
  if (answer === 'done') endAll(work, succeeded(null));
  takeEarly(work);
}

/** The host has the order: from now on it is listened to. */
function acknowledge(work: Work, fenced: boolean): void {
  const { now, state } = work;
  set(work, {
    phase: 'listening',
    ordered: true,
    fenced,
    tries: 0,
    dispatchedAt: now,
    boundMs: attemptBoundMs(state.terms, state.rows.length),
    lastSign: now,
    lastProgress: now,
    nextAsk: state.rows.some(({ suspicion }) => suspicion !== null) ? now : now + ASK_AFTER_MS,
    failedAsks: 0,
    reason: null,
  });
}

/** The order may have got through all the same: the host is asked. */
function notTaken(work: Work, reason: string): void {
  set(work, { reason });
  yieldSlot(work);
  if (work.state.rowsKnown) askUnlessHeard(work);
  else readRows(work);
}

function askUnlessHeard(work: Work): void {
  if (work.state.heard) acknowledge(work, work.state.fenced);
  else if (work.state.rows.length > 0) ask(work);
}

function rowsRead(work: Work, rows: readonly ShardRow[]): void {
  knowRows(work, rows);
  takeEarly(work);
  const { ending, cancelled, ordered } = work.state;
  if (ending) endAll(work, ending);
  else if (cancelled) recall(work);
  else if (ordered) set(work, { phase: 'listening' });
  else askUnlessHeard(work);
}

/** The rows as the database has them open; those that ended meanwhile are not named again. */
function knowRows(work: Work, rows: readonly ShardRow[]): void {
  if (work.state.rowsKnown) return;
  const facts = new Map(work.state.carried.map((fact) => [fact.deckyName, fact]));
  set(work, {
    rowsKnown: true,
    rows: rows.map((row) => ({ ...freshRow(row), ...facts.get(row.deckyName) })),
    carried: [],
  });
}

function takeEarly(work: Work): void {
  const { early } = work.state;
  set(work, { early: [] });
  if (early.length > 0) reported(work, early);
}

/** Before the order is sent once more. */
function pause(work: Work): void {
  const { now, state } = work;
  const pauseMs = Math.min(failedPauseMs(state.tries), Math.max(1, deadlineOf(state) - now));
  set(work, { phase: 'pausing', pauseUntil: now + pauseMs, tries: state.tries + 1 });
}

// --- Listening -------------------------------------------------------------------------------------------------------------

/**
 * Takes in what came by signal, once the rows are known. A report may come before this run has sent an order: an agent works on the
 * order of a workflow that was lost and began again. What is reported while the host takes its work back may be undone.
 */
function reported(work: Work, reports: readonly DeckyReport[]): void {
  const { now, state } = work;
  if (state.phase === 'recalling') return;
  if (!state.rowsKnown) {
    set(work, { early: [...state.early, ...reports] });
    return;
  }
  const { rows, ends, isNew, isProgress, isSuspicion } = takeReports(state.rows, reports, state);
  if (!isNew) return;
  set(work, {
    rows,
    fenced: state.fenced || reports.some(({ fence }) => fence !== null),
    heard: true,
    heardSinceAsk: true,
    lastSign: now,
    lastProgress: isProgress ? now : state.lastProgress,
    nextAsk: isSuspicion ? now : now + ASK_AFTER_MS,
  });
  endRows(work, ends);
  if (!isIdle(state) || state.phase === 'listening') return;
  abort(work);
  if (state.ordered) set(work, { phase: 'listening' });
  else acknowledge(work, work.state.fenced);
}

/** It waits for time to pass, for a slot or for an unreachable host: a report is what it waits for, too. */
const isIdle = ({ phase }: ShardState): boolean =>
  phase === 'listening' || phase === 'slot' || phase === 'pausing' || phase === 'unreachable' || phase === 'awaiting';

/** Silence is not an end: the agent says what runs, and what that proves is settled. */
function ask(work: Work): void {
  const { attempt } = work.state;
  set(work, { heardSinceAsk: false });
  request(work, 'asking', (number) => ({ type: 'ask', request: number, attempt }));
}

/** An answer, or a heartbeat meanwhile, is a sign of life. */
function observed(work: Work, observation: ShardObservation): void {
  const { now, state } = work;
  set(work, { lastSign: Math.max(state.lastSign, observation.lastSignMs ?? 0), lastAsk: now });
  if (state.ordered) observedOrdered(work, observation);
  else if (observation.has) acknowledge(work, true);
  else if (state.heard) acknowledge(work, state.fenced);
  else if (!observation.reachable) set(work, { phase: 'unreachable' });
  else pause(work);
}

function observedOrdered(work: Work, observation: ShardObservation): void {
  const { now, state } = work;
  if (!observation.reachable) {
    set(work, { phase: 'unreachable', reason: observation.sentence });
    return;
  }
  set(work, { phase: 'listening', failedAsks: 0, reason: null, fenced: state.fenced || observation.fenced });
  // Hosts that were not begun yet wait for this one again; it waits for nobody, since it only listens.
  if (work.state.rows.length > 0) wantSlot(work);
  if (observation.known) takeIn(work, observation);
  // What it reported a moment ago it must have known.
  else if (state.heardSinceAsk) set(work, { nextAsk: now + ASK_AFTER_MS });
  else orderAgain(work);
}

function takeIn(work: Work, observation: ShardObservation): void {
  const { now } = work;
  const seen = new Set(work.state.steps);
  const steps = observation.steps.filter((mark) => !seen.has(mark));
  if (steps.length > 0) set(work, { lastProgress: now, steps: [...seen, ...steps].slice(-MOST_STEPS) });
  const { terms, rows: before, dispatchedAt, lastProgress } = work.state;
  const { rows, ends, askAt } = takeObservation(before, observation, { ...terms, dispatchedAt }, now);
  const hasMore = observation.more && ends.length > 0;
  const nextAsk = now + askPauseMs(now - lastProgress);
  set(work, { rows, nextAsk: hasMore ? now : Math.min(nextAsk, askAt ?? nextAsk) });
  endRows(work, ends);
}

/** The agent knows nothing of the order: its disk is gone, or it was made anew. */
function orderAgain(work: Work): void {
  const { now, state } = work;
  set(work, { tries: 0 });
  if (state.attempt >= MOST_ATTEMPTS) {
    const sentence = `host ${state.terms.hostName} took the order ${state.attempt} times and forgot it each time; look at its agent's disk.`;
    endAll(work, givenUp(errorText('HostRefused', sentence)));
  } else if (state.attempt === 1) order(work);
  else set(work, { phase: 'pausing', pauseUntil: now + NEXT_ATTEMPT_PAUSE_MS });
}

/** Nothing can be done until the host answers, so that others have the slot. */
function awaitHost(work: Work): void {
  const { now, state } = work;
  yieldSlot(work);
  const until = lostAt(state);
  const waitMs = Math.max(1, Math.min(until, deadlineOf(state)) - now);
  request(work, 'awaiting', (number) => ({ type: 'awaitHost', request: number, until, waitMs }));
}

/** The host answers, or the time is up. One that answers one question and not the next is not asked without a pause. */
function waited(work: Work): void {
  const { now, state } = work;
  const { failedAsks } = state;
  if (!state.ordered) pause(work);
  else set(work, { phase: 'listening', nextAsk: now + failedPauseMs(failedAsks), failedAsks: failedAsks + 1 });
}

// --- A request that failed -------------------------------------------------------------------------------------------------

function requestFailed(work: Work, { code, final, message, error }: RequestFailure): void {
  const { phase } = work.state;
  if (phase === 'recalling') recalled(work, false);
  else if (phase === 'awaiting' && !final) waited(work);
  // The sweep ends rows that can't be read.
  else if (phase === 'rows') set(work, { phase: 'ended' });
  else if (phase === 'sending' && !final && SEND_AGAIN.has(code)) notTaken(work, message);
  else endBecause(work, error);
}

// --- The next run ----------------------------------------------------------------------------------------------------------

/** Whether a new run can go on from here: nothing is under way that it would not do again. */
export const mayContinue = (state: ShardState): boolean => state.attempt > 0 && state.rowsKnown && isIdle(state);

/** Open rows are read again: only what is known of them is carried, so that the next run's input stays small. */
function carryOn(work: Work): void {
  const { state } = work;
  if (!mayContinue(state)) return;
  abort(work);
  const facts = state.rows.map(({ deckyName, begun, sequence, pendingProof, suspicion }): RowFacts => {
    const text = suspicion?.slice(0, LONGEST_CARRIED_SUSPICION) ?? null;
    return { deckyName, begun, sequence, pendingProof, suspicion: text };
  });
  set(work, { phase: 'continued', rowsKnown: false, rows: [], carried: facts, sleepUntil: null });
}

/** What the next run begins with. */
export const continued = (carried: ShardState): ShardState => ({ ...carried, phase: 'rows' });
