/** What the agent knows, as it stands on disk, and the pure steps that change it. One document, so that every step is whole. */
import type { DecnetConfig, Delta, Fence, OrderFence } from '../fleet/agent-wire.ts';
import type { CustomService, DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import type { DeckyState, Operation, Status } from '../fleet/lifecycle.ts';
import { hasEnded } from '../fleet/lifecycle.ts';

/** In milliseconds. */
export interface Timing {
  readonly minHealthyMs: number;
  readonly healthyDeadlineMs: number;
  readonly progressDeadlineMs: number;
}

interface OrderBase extends OrderFence {
  /** What repeats and later attempts are recognised by. */
  readonly key: string;
  /** False: from a master of DECNET; the operation's id is made up, and reports carry no fence. */
  readonly fenced: boolean;
  /** ISO-8601. */
  readonly accepted_at: string;
  /** How often the agent died while it worked on the order, and on none of its deckies (under-way.ts). */
  deaths?: number;
}

export interface DeployOrderRecord extends OrderBase {
  readonly kind: 'deploy';
  readonly config: DecnetConfig;
  readonly deploy: readonly string[];
  readonly remove: readonly string[];
  /** Absent in a state of before 0.2: none. */
  readonly stopped?: readonly string[];
  readonly custom_services: Readonly<Record<string, readonly CustomService[]>>;
  readonly timing: Timing;
}

export interface MutateOrderRecord extends OrderBase {
  readonly kind: 'mutate';
  readonly decky_id: string;
  readonly services: readonly string[];
  /** Null: those that the decky has. */
  readonly custom_services: readonly CustomService[] | null;
  readonly timing: Timing;
}

export interface TeardownOrderRecord extends OrderBase {
  readonly kind: 'teardown';
  readonly decky_id: string | null;
}

export type OrderRecord = DeployOrderRecord | MutateOrderRecord | TeardownOrderRecord;

export interface LastAttempt extends Fence {
  readonly operation: Operation;
  readonly status: Exclude<Status, 'pending'>;
  readonly error: string | null;
  readonly seen: DeckyState;
  readonly ended_at: string | null;
}

export interface DeckyRecord {
  /** What should run, with this host's addresses; null where nothing should. */
  desired: DesiredDecky | null;
  /** The version that came up last. */
  established: DesiredDecky | null;
  last: LastAttempt | null;
  /** True while the clean-up after a failure has to be done again: it did not work. */
  cleanUp?: boolean;
  /** Absent where no order works on it. */
  work?: DeckyWork;
}

/** Work of an order on a decky that has begun and not ended. It stays over restarts: deadlines count from here. */
export interface DeckyWork extends Fence {
  /** ISO-8601. */
  readonly began_at: string;
  /** ISO-8601: the last step that was new. */
  moved_at: string;
  /** ISO-8601: its containers were started, and are waited for since then. */
  up_at?: string;
  /** Marks of the steps that were seen: the same step is no progress a second time. */
  steps: string[];
  /** True while this run of the agent works on it. */
  active: boolean;
  /** How often the agent died meanwhile. */
  deaths: number;
  /** A deadline passed while the agent was away, and the last try was given. */
  late?: boolean;
}

export interface AgentState {
  readonly version: 1;
  /** Number of the last delta; none is used twice. */
  sequence: number;
  mode: DecnetConfig['mode'];
  network: FleetNetwork | null;
  /** Accepted and not ended, in the order in which they are worked off. */
  orders: OrderRecord[];
  /** Id of the order that is worked on. Where a start finds one, the agent died while it worked on it. */
  working?: string;
  /** The highest ticket of an order that was accepted. */
  ticket?: number;
  /** By key: the highest attempt that was accepted, and of which kind; `gave_up` says why it is not tried again. */
  attempts: Record<string, { attempt: number; kind: OrderRecord['kind']; accepted_at: string; gave_up?: string }>;
  deckies: Record<string, DeckyRecord>;
  /** Deltas that the master has not acknowledged, oldest first. */
  outbox: Outgoing[];
}

/** The number stands beside the delta, since one for a master of DECNET carries none. */
export interface Outgoing {
  readonly sequence: number;
  readonly delta: Delta;
}

export const emptyState = (): AgentState => ({
  version: 1,
  sequence: 0,
  mode: 'swarm',
  network: null,
  orders: [],
  attempts: {},
  deckies: {},
  outbox: [],
});

/**
 * `repeat`: accepted before, works once. `stale`: a later attempt of the same operation was accepted. `overtaken`: an order of
 * a later operation was.
 */
export type Acceptance = 'fresh' | 'repeat' | 'stale' | 'overtaken';

/** Tells orders of the queue apart. */
export const idOf = ({ key, attempt, kind }: OrderRecord): string => `${kind} ${attempt} ${key}`;

export const knownAttempt = (state: AgentState, key: string): AgentState['attempts'][string] | undefined =>
  Object.hasOwn(state.attempts, key) ? state.attempts[key] : undefined;

export function judgeOrder(state: AgentState, order: OrderRecord): Acceptance {
  if (order.ticket !== undefined && order.ticket < (state.ticket ?? 0)) return 'overtaken';
  const known = knownAttempt(state, order.key);
  if (!known || order.attempt > known.attempt) return 'fresh';
  if (order.attempt < known.attempt) return 'stale';
  return known.kind === order.kind ? 'repeat' : 'fresh';
}

/** Takes the order into the queue, in the place of earlier attempts of the same operation that nobody works on. */
export function acceptOrder(state: AgentState, order: OrderRecord, working: OrderRecord | null): void {
  const { key, attempt, kind, accepted_at } = order;
  state.orders = [...state.orders.filter((queued) => queued === working || queued.key !== key), order];
  state.attempts[key] = { attempt, kind, accepted_at };
  noteTicket(state, order);
}

/** Of an order that was accepted, also of one that is repeated: the master may have drawn its ticket anew. */
export function noteTicket(state: AgentState, { ticket = 0 }: OrderFence): void {
  if (ticket > (state.ticket ?? 0)) state.ticket = ticket;
}

/** At a start: an earlier attempt that was worked on when a later one came is not begun again. */
export function dropSuperseded(state: AgentState): void {
  state.orders = state.orders.filter(
    (order) => !state.orders.some((later) => later.key === order.key && later.attempt > order.attempt),
  );
}

export const sameAttempt = (one: Fence, other: Fence): boolean =>
  one.operation_id === other.operation_id && one.attempt === other.attempt;

/** What the host knows of a decky. A decky may have a name that every object knows, such as `constructor`. */
export const knownRecord = (state: AgentState, name: string): DeckyRecord | undefined =>
  Object.hasOwn(state.deckies, name) ? state.deckies[name] : undefined;

export const recordOf = (state: AgentState, name: string): DeckyRecord => {
  const record = knownRecord(state, name) ?? { desired: null, established: null, last: null };
  state.deckies[name] = record;
  return record;
};

/** True when this order has brought the decky to an end already, before a restart. */
export function hasEndedIn(state: AgentState, order: OrderRecord, name: string): boolean {
  const last = knownRecord(state, name)?.last;
  return last != null && sameAttempt(last, order) && hasEnded(last.status);
}

export interface Outcome {
  readonly operation: Operation;
  readonly status: Exclude<Status, 'pending'>;
  readonly error: string | null;
  readonly seen: DeckyState;
}

/** Notes how a decky stands in an order, with the delta that tells the master. A `running` that nobody fetched is dropped at the end. */
export function noteOutcome(state: AgentState, order: OrderRecord, name: string, outcome: Outcome, now: Date): void {
  const ended = hasEnded(outcome.status);
  const { operation_id, attempt } = order;
  const record = recordOf(state, name);
  record.last = { operation_id, attempt, ...outcome, ended_at: ended ? now.toISOString() : null };
  if (ended) delete record.work;
  state.sequence += 1;
  const delta: Delta = {
    decky_name: name,
    operation: outcome.operation,
    status: outcome.status,
    ...(outcome.error === null ? {} : { error: outcome.error }),
    ...(ended ? { completed_at: now.toISOString() } : {}),
    ...(order.fenced
      ? { operation_id, attempt, sequence: state.sequence, ...(ended ? { seen: outcome.seen } : {}) }
      : {}),
  };
  const superseded = (old: Outgoing): boolean =>
    ended && old.delta.status === 'running' && old.delta.decky_name === name;
  state.outbox = [...state.outbox.filter((old) => !superseded(old)), { sequence: state.sequence, delta }];
}

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Forgets what ended more than a day ago: outcomes of deckies that are gone, and attempts that nobody will repeat. */
export function prune(state: AgentState, now: Date): void {
  const old = (at: string | null): boolean => at !== null && now.getTime() - Date.parse(at) > DAY_MS;
  const queued = new Set(state.orders.map((order) => order.key));
  for (const [key, { accepted_at }] of Object.entries(state.attempts))
    if (!queued.has(key) && old(accepted_at)) delete state.attempts[key];
  for (const [name, record] of Object.entries(state.deckies))
    if (!record.desired && !record.established && !record.cleanUp && (!record.last || old(record.last.ended_at)))
      delete state.deckies[name];
}
