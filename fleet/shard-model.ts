/**
 * The share of a deployment that a host has: its state, what happens to it, and what is to be done then.
 *
 * 1. The state and what it starts as.
 * 2. Events and effects.
 * 3. What follows from a state: when it ends, what is waited for.
 */
import type { DeckyReport } from './agent-wire.ts';
import type { Transition } from './lifecycle.ts';
import type { RowEnd, RowFacts, ShardObservation, ShardOpenRow, ShardRow } from './shard-rows.ts';

const MOST_NAMES_SHOWN = 20;

export interface ShardTerms {
  readonly hostName: string;
  readonly minHealthyTimeMs: number;
  readonly healthyDeadlineMs: number;
  readonly progressDeadlineMs: number;
  readonly hostLostAfterMs: number;
}

/** A slot of the deployment's `max_parallel`. Sending needs one, listening does not. */
export interface SlotState {
  /** False: there are enough slots for all hosts. */
  readonly bounded: boolean;
  readonly holds: boolean;
  /** It has asked for a slot and got none yet. */
  readonly asked: boolean;
  readonly yields: number;
}

/**
 * `turn`: not yet its turn on the host. `slot`: needs a slot. `sending`: the order is under way. `rows`: reads its rows.
 * `listening`, `asking`, `unreachable`, `awaiting` (an unreachable host), `pausing` (before the order is sent again), `recalling`
 * (after a cancellation). `ended`: no row is open. `continued`: the next run goes on.
 */
export type ShardPhase =
  | 'turn'
  | 'slot'
  | 'sending'
  | 'rows'
  | 'listening'
  | 'asking'
  | 'unreachable'
  | 'awaiting'
  | 'pausing'
  | 'recalling'
  | 'ended'
  | 'continued';

/** Plain JSON; times are epoch milliseconds. */
export interface ShardState {
  readonly terms: ShardTerms;
  readonly phase: ShardPhase;
  /** The number of the request whose answer is expected; null: none is. Late answers of others are ignored. */
  readonly pending: number | null;
  readonly lastRequest: number;
  readonly slot: SlotState;
  readonly rowsKnown: boolean;
  readonly rows: readonly ShardOpenRow[];
  /** What the run before knew of its rows, until they are read again. */
  readonly carried: readonly RowFacts[];
  /** Reports that came before the rows were known. */
  readonly early: readonly DeckyReport[];
  readonly done: readonly string[];
  readonly failed: readonly string[];
  readonly attempt: number;
  /** How often this attempt's order was sent in vain. */
  readonly tries: number;
  /** The host has this attempt's order. */
  readonly ordered: boolean;
  /** The agent's reports carry fences. */
  readonly fenced: boolean;
  /** A report of this attempt came. */
  readonly heard: boolean;
  readonly heardSinceAsk: boolean;
  readonly dispatchedAt: number;
  /** How long the attempt may take from then on, whatever moves. */
  readonly boundMs: number;
  /** The first try, or the last sign of life. */
  readonly lastSign: number;
  /** The last time that anything moved. */
  readonly lastProgress: number;
  /** When the host was asked last, whether it answered or not. */
  readonly lastAsk: number;
  readonly nextAsk: number;
  /** Questions in a row that were not answered. */
  readonly failedAsks: number;
  readonly pauseUntil: number;
  /** The last error of the host's; null while all is well. */
  readonly reason: string | null;
  /** Marks of steps that were observed: one that comes again is no progress. */
  readonly steps: readonly string[];
  /** Why all rows end once they are known. */
  readonly ending: RowEnd | null;
  readonly cancelled: boolean;
  /** When the next tick is due; null: never. */
  readonly sleepUntil: number | null;
}

export const newShard = (terms: ShardTerms, slot: Pick<SlotState, 'bounded' | 'holds'>, now: number): ShardState => ({
  terms,
  phase: 'turn',
  pending: null,
  lastRequest: 0,
  slot: { ...slot, asked: false, yields: 0 },
  rowsKnown: false,
  rows: [],
  carried: [],
  early: [],
  done: [],
  failed: [],
  attempt: 0,
  tries: 0,
  ordered: false,
  fenced: false,
  heard: false,
  heardSinceAsk: false,
  dispatchedAt: now,
  boundMs: Number.MAX_SAFE_INTEGER,
  lastSign: now,
  lastProgress: now,
  lastAsk: now,
  nextAsk: now,
  failedAsks: 0,
  pauseUntil: now,
  reason: null,
  steps: [],
  ending: null,
  cancelled: false,
  sleepUntil: null,
});

export interface RequestFailure {
  /** An error code, where an activity failed with one. */
  readonly code: string | null;
  /** No retry cures it. */
  readonly final: boolean;
  readonly message: string;
  /** The failure as a row's error. */
  readonly error: string;
}

interface Answer {
  readonly request: number;
}

export type ShardEvent =
  /** `turn`: it is its turn already. */
  | { readonly type: 'started'; readonly turn: boolean }
  | ({ readonly type: 'turn' } & Answer)
  /** `forGood`: the slot is not to be given back before the shard ends. */
  | { readonly type: 'slotGranted'; readonly forGood: boolean }
  | ({ readonly type: 'rows'; readonly rows: readonly ShardRow[] } & Answer)
  | ({
      readonly type: 'dispatched';
      /** Where they were not known before. */
      readonly rows: readonly ShardRow[];
      /** `accepted`: reports will come. `done`: the answer says that all is down. `unknown`: sent, but the answer was lost. */
      readonly answer: 'accepted' | 'done' | 'unknown';
      readonly fenced: boolean;
    } & Answer)
  | { readonly type: 'report'; readonly reports: readonly DeckyReport[] }
  | ({ readonly type: 'observation'; readonly observation: ShardObservation } & Answer)
  /** A host that was unreachable answers. */
  | ({ readonly type: 'answered' } & Answer)
  | ({ readonly type: 'recalled'; readonly recalled: boolean } & Answer)
  | ({ readonly type: 'failed'; readonly failure: RequestFailure } & Answer)
  /** The time of `sleepUntil` has come, and no other event waits. */
  | { readonly type: 'tick' }
  | { readonly type: 'cancelled' }
  /** The workflow's history is long; see {@link mayContinue}. */
  | { readonly type: 'historyLong' };

/** Effects with a request are answered by an event that carries its number, or by `failed`. */
export type ShardEffect =
  | ({ readonly type: 'awaitTurn' } & Answer)
  | ({ readonly type: 'readRows' } & Answer)
  | ({
      readonly type: 'dispatch';
      readonly attempt: number;
      readonly rowsKnown: boolean;
      readonly retryUntil: number;
    } & Answer)
  | ({ readonly type: 'ask'; readonly attempt: number } & Answer)
  | ({ readonly type: 'awaitHost'; readonly until: number; readonly waitMs: number } & Answer)
  /** Once what has ended is written: the host then knows what to keep. */
  | ({ readonly type: 'recall'; readonly attempt: number } & Answer)
  /** The answer of the pending request is not needed any more. */
  | { readonly type: 'abort' }
  | { readonly type: 'wantSlot' }
  | { readonly type: 'yieldSlot' }
  | { readonly type: 'giveHostUp' }
  | { readonly type: 'endRow'; readonly transition: Transition }
  | { readonly type: 'sleepUntil'; readonly at: number | null };

export interface ShardStep {
  readonly state: ShardState;
  readonly effects: readonly ShardEffect[];
}

export const isOver = ({ phase }: Pick<ShardState, 'phase'>): boolean => phase === 'ended' || phase === 'continued';

/** When the host counts as lost, unless it gives a sign of life. */
export const lostAt = ({ lastSign, terms }: ShardState): number => lastSign + terms.hostLostAfterMs;

/** When the rows end though the host is there: nothing moved for `progress_deadline`, or the attempt as a whole took too long. */
export const deadlineOf = ({ terms, lastProgress, dispatchedAt, boundMs }: ShardState): number =>
  Math.min(lastProgress + terms.progressDeadlineMs, dispatchedAt + boundMs);

/** What is waited for, on whom, until when; null: for the open deckies themselves. */
export function waitingFor(state: ShardState): string | null {
  const host = `host \`${state.terms.hostName}\``;
  const at = (ms: number): string => new Date(ms).toISOString();
  switch (state.phase) {
    case 'turn':
      return `its turn on ${host}: an operation that was accepted before still works there`;
    case 'slot':
      return `one of the deployment’s slots (max_parallel) for ${host}`;
    case 'unreachable':
    case 'awaiting':
      return `${host}, which does not answer, until ${at(lostAt(state))}: ${state.reason ?? 'no reason'}`;
    case 'recalling':
      return `${host} to take back what is not done`;
    case 'ended':
    case 'continued':
      return null;
    default:
      return state.ordered ? reportsOf(state, host) : `${host} to take the order`;
  }
}

function reportsOf({ rows }: ShardState, host: string): string | null {
  const names = rows.slice(0, MOST_NAMES_SHOWN).map(({ deckyName }) => deckyName);
  return names.length > 0 ? `reports of ${host} on ${names.join(', ')}` : null;
}
