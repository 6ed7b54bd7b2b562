/**
 * What the agent knows. It is one document, so that every change is whole.
 *
 * 1. The document as it stands on disk. A start reads what an earlier version wrote.
 * 2. Orders in the queue, and how deckies ended in them: pure changes.
 * 3. Work under way, written down so that a restart of the agent resets no deadline and forgets no death: pure changes.
 * 4. The file: replaced as a whole, and changes that come together are written together.
 */

import { createHash } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DecnetConfig, Delta, Fence, OrderFence } from '../fleet/agent-wire.ts';
import type { CustomService, DesiredDecky, FleetNetwork } from '../fleet/config.ts';
import { type DeckyState, hasEnded, type Operation, type Status } from '../fleet/lifecycle.ts';
import { makeDirectory, readIfThere, replaceFile } from '../lib/files.ts';
import type { Logger } from '../lib/logger.ts';

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
  /** How often the agent died while it worked on the order, and on none of its deckies. */
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

interface LastAttempt extends Fence {
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

// 2. Orders in the queue

/**
 * `repeat`: accepted before, works once. `stale`: a later attempt of the same operation was accepted. `overtaken`: an order of
 * a later operation was.
 */
type Acceptance = 'fresh' | 'repeat' | 'stale' | 'overtaken';

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

/** Of an order that was accepted, also of one that is repeated: the master may have drawn a new ticket for it. */
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

// 3. Work under way

/** The agent gives an order, or a decky of it, up once it died this often while it worked on it. */
export const DEATHS = 3;
/** A decky is worked on alone once the agent died this often: what happens then is its own doing. */
export const ALONE_AFTER = 2;
/** More steps than these are not told apart any more; the bound of the attempt holds in any case. */
const STEPS = 1_000;

const workOf = (state: AgentState, order: OrderRecord, name: string): DeckyWork | undefined => {
  const work = knownRecord(state, name)?.work;
  return work && sameAttempt(work, order) ? work : undefined;
};

/** Milliseconds since `iso`. A clock that was set back, or text that is no time, makes it now. */
export function since(iso: string | undefined, now: Date): number {
  const passed = iso === undefined ? 0 : now.getTime() - Date.parse(iso);
  return passed > 0 ? passed : 0;
}

/** Work on the order begins. It has to be on disk before the work does. */
export function beginOrder(state: AgentState, order: OrderRecord): void {
  state.working = idOf(order);
}

/** Nobody works on an order any more: it has ended, or the agent stops as it should. */
export function leaveOrder(state: AgentState): void {
  delete state.working;
  for (const { work } of Object.values(state.deckies)) if (work) work.active = false;
}

/** The order has ended, and what was written down of its work is forgotten. */
export function endOrder(state: AgentState, order: OrderRecord): void {
  leaveOrder(state);
  state.orders = state.orders.filter((one) => one !== order);
  for (const record of Object.values(state.deckies))
    if (record.work && sameAttempt(record.work, order)) delete record.work;
}

/** Once per start: where the run before died at work, that counts against what it worked on. Says which order that was. */
export function countDeath(state: AgentState): OrderRecord | null {
  const order = state.orders.find((one) => idOf(one) === state.working) ?? null;
  if (order) {
    const active = Object.values(state.deckies).flatMap(({ work }) =>
      work?.active && sameAttempt(work, order) ? [work] : [],
    );
    for (const work of active) work.deaths += 1;
    if (active.length === 0) order.deaths = (order.deaths ?? 0) + 1;
  }
  leaveOrder(state);
  return order;
}

/** How often the agent died while it worked on this decky, in this attempt. */
export const deathsAt = (state: AgentState, order: OrderRecord, name: string): number =>
  workOf(state, order, name)?.deaths ?? 0;

/** How often the agent died at an open order or at one of its deckies, the worst of them; 0: never. */
export function worstDeaths(state: AgentState, order: OrderRecord): number {
  const deaths = Object.values(state.deckies).map(({ work }) => (work && sameAttempt(work, order) ? work.deaths : 0));
  return Math.max(order.deaths ?? 0, ...deaths);
}

/** Work on a decky begins, or goes on after a restart. It has to be on disk before the engine is asked for anything. */
export function beginWork(state: AgentState, order: OrderRecord, name: string, now: Date): DeckyWork {
  const known = workOf(state, order, name);
  if (known) {
    known.active = true;
    return known;
  }
  const at = now.toISOString();
  const { operation_id, attempt } = order;
  const work: DeckyWork = { operation_id, attempt, began_at: at, moved_at: at, steps: [], active: true, deaths: 0 };
  const record = recordOf(state, name);
  record.work = work;
  delete record.cleanUp;
  return work;
}

const markOf = (step: string): string => createHash('sha256').update(step).digest('base64url').slice(0, 8);

export const hasSeen = (work: DeckyWork, step: string): boolean => work.steps.includes(markOf(step));

export function noteStep(work: DeckyWork, step: string, now: Date): void {
  if (work.steps.length < STEPS) work.steps.push(markOf(step));
  work.moved_at = now.toISOString();
}

// 4. The file

const FILE = 'agent-state.json';
/** Between two tries to write, where the disk is full or gone. */
const RETRY_MS = 1_000;

export class AgentStore {
  readonly state: AgentState;
  readonly #path: string;
  readonly #logger: Logger;
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  #durableSequence: number;

  private constructor(path: string, state: AgentState, logger: Logger) {
    this.#path = path;
    this.state = state;
    this.#logger = logger;
    this.#durableSequence = state.sequence;
  }

  /** A state that can't be read is set aside: the master asks the agent what runs, and so finds out what was lost. */
  static async open(directory: string, logger: Logger): Promise<AgentStore> {
    await makeDirectory(directory);
    const path = join(directory, FILE);
    const text = await readIfThere(path);
    if (text === null) return new AgentStore(path, emptyState(), logger);
    try {
      const state = JSON.parse(text) as AgentState;
      if (state.version !== 1) throw new Error(`version ${String(state.version)} is not known here`);
      return new AgentStore(path, state, logger);
    } catch (error) {
      const aside = `${path}.unreadable-${Date.now()}`;
      logger.error(
        { err: error, aside },
        'the state can’t be read; it is set aside, and the agent begins with an empty one',
      );
      await rename(path, aside);
      return new AgentStore(path, emptyState(), logger);
    }
  }

  /** Deltas up to this number are on disk: only these may be sent, since a number is never used twice. */
  get durableSequence(): number {
    return this.#durableSequence;
  }

  /** Resolves once the change is on disk. Rejects when it can't be written; it stands in memory then. */
  async change<T>(apply: (state: AgentState) => T): Promise<T> {
    const result = apply(this.state);
    await this.#flush();
    return result;
  }

  /** As {@link change}, for what has happened and can't be refused any more: tries until it is on disk. */
  async record<T>(apply: (state: AgentState) => T): Promise<T> {
    const result = apply(this.state);
    for (;;) {
      try {
        await this.#flush();
        return result;
      } catch (error) {
        this.#logger.error({ err: error }, 'the state can’t be written; trying again');
        await sleep(RETRY_MS);
      }
    }
  }

  #flush(): Promise<void> {
    this.#next ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#next = null;
        this.#writing = this.#write();
        return this.#writing;
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    const { sequence } = this.state;
    await replaceFile(this.#path, JSON.stringify(this.state));
    this.#durableSequence = sequence;
  }
}
