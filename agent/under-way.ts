/** What is written down of work that is under way, so that a restart of the agent resets no deadline and forgets no death. */
import { createHash } from 'node:crypto';
import {
  type AgentState,
  type DeckyWork,
  idOf,
  knownRecord,
  type OrderRecord,
  recordOf,
  sameAttempt,
} from './state.ts';

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

/** The worst that is known of an order that is open: 0 where nothing speaks against it. */
export function suspicion(state: AgentState, order: OrderRecord): number {
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
