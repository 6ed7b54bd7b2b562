/** The queue of a host: an order is on disk before it is answered, and one order at a time is worked off, in order. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeckhandError, isDeckhandError } from '../fleet/errors.ts';
import { growingPause } from '../lib/concurrency.ts';
import type { Logger } from '../lib/logger.ts';
import type { AgentContext } from './context.ts';
import { cleanUpLater, hasCleanUps } from './decky-work.ts';
import { deploy, giveUp, mutate, teardown } from './orders.ts';
import {
  type AgentState,
  ALONE_AFTER,
  acceptOrder,
  beginOrder,
  countDeath,
  DEATHS,
  dropSuperseded,
  endOrder,
  idOf,
  judgeOrder,
  knownAttempt,
  leaveOrder,
  noteTicket,
  type OrderRecord,
  prune,
  type TeardownOrderRecord,
  worstDeaths,
} from './state.ts';

/** When the agent stops, what the engine is doing may take this long to end. */
const STOP_GRACE_MS = 5_000;

/** An order that the agent died at waits before it is begun again, so that what comes meanwhile gets through. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

/** What a clean-up did not get done is tried this often while there is no order. */
const CLEAN_UP_EVERY_MS = 10_000;

/** Of an order: thrown to those who wait for a teardown when something else takes its place. */
class Superseded extends Error {
  override readonly name = 'Superseded';
}

/** An order that the agent died at, in whose place a later one is worked on. */
class Overtaken extends Superseded {}

interface Working {
  readonly order: OrderRecord;
  /** No new step begins. */
  readonly stop: AbortController;
  /** Calls of the engine that are under way are aborted. */
  readonly abort: AbortController;
}

function breakOff({ stop, abort }: Working, reason: Error): void {
  stop.abort(reason);
  abort.abort(reason);
}

export class WorkQueue {
  readonly #context: AgentContext;
  readonly #logger: Logger;
  /** Orders that are not on disk yet: nobody may work on them. */
  readonly #unwritten = new Set<OrderRecord>();
  readonly #waiters = new Map<string, { resolve: () => void; reject: (error: unknown) => void }[]>();
  #working: Working | null = null;
  #wake: () => void = () => {};
  #stopped = false;
  #run: Promise<void> | null = null;
  /** Before this moment (performance.now) no order is begun that the agent died at. */
  #resumeAt = 0;

  constructor(context: AgentContext) {
    this.#context = context;
    this.#logger = context.logger;
  }

  get working(): OrderRecord | null {
    return this.#working?.order ?? null;
  }

  /** Resolves once the order, or the same attempt before, is on disk. Throws `HostRefused` for an attempt that was superseded. */
  async accept(order: OrderRecord): Promise<void> {
    const { store } = this.#context;
    const verdict = judgeOrder(store.state, order);
    if (verdict === 'stale' || verdict === 'overtaken') throw refusal(store.state, order, verdict);
    if (verdict === 'repeat') {
      // It is answered when what it repeats is on disk. Could that not be written, it is taken back, and this one counts.
      await store
        .change((state) => noteTicket(state, order))
        .catch((error: unknown) => {
          throw notWritten(error);
        });
      return judgeOrder(store.state, order) === 'repeat' ? undefined : this.accept(order);
    }
    const before = { attempt: knownAttempt(store.state, order.key), ticket: store.state.ticket };
    const replaced = store.state.orders.filter((one) => one.key === order.key && one !== this.working);
    this.#unwritten.add(order);
    try {
      await store.change((state) => {
        prune(state, new Date());
        acceptOrder(state, order, this.working);
      });
    } catch (error) {
      this.#takeBack(order, replaced, before);
      throw notWritten(error);
    } finally {
      this.#unwritten.delete(order);
    }
    this.#supersede(order, replaced);
    const working = this.#working;
    if (working && this.#isOvertaken(working.order)) breakOff(working, new Overtaken('a later order came'));
    this.#wake();
  }

  /** As {@link accept}, and resolves when the work has been done. Rejects with what kept it from being done. */
  async finish(order: TeardownOrderRecord): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      const id = idOf(order);
      this.#waiters.set(id, [...(this.#waiters.get(id) ?? []), { resolve, reject }]);
    });
    // Nobody may be there yet to hear of it.
    done.catch(() => {});
    await this.accept(order);
    if (!this.#isOpen(order)) this.#settle(order, this.#gaveUp(order));
    await done;
  }

  /** As {@link finish}, in the place of everything else: what is under way stops, what waits is dropped. */
  async finishAlone(order: TeardownOrderRecord): Promise<void> {
    const { store } = this.#context;
    await store.record((state) => {
      for (const one of state.orders) this.#settle(one, new Superseded('everything goes'));
      state.orders = state.orders.filter((one) => one === this.working);
    });
    if (this.#working) breakOff(this.#working, new Superseded('everything goes'));
    await this.finish(order);
  }

  /** Once the API listens: what comes now is there before an order is begun again that ended the agent. */
  start(): void {
    if (this.#run !== null) return;
    const { state } = this.#context.store;
    const order = countDeath(state);
    dropSuperseded(state);
    if (order) {
      const deaths = worstDeaths(state, order);
      this.#resumeAt = performance.now() + growingPause(deaths - 1, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, 0);
      const { kind, operation_id: deployment_id, attempt } = order;
      this.#logger.warn({ kind, deployment_id, attempt, deaths }, 'the agent died while it worked on this order');
    }
    this.#run = this.#loop();
  }

  /** Lets the engine end what it is doing; all else stays in the queue. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    const working = this.#working;
    const stops = new DOMException('the agent stops', 'AbortError');
    working?.stop.abort(stops);
    const late = setTimeout(() => working?.abort.abort(stops), STOP_GRACE_MS);
    await Promise.race([this.#run, sleep(2 * STOP_GRACE_MS, undefined, { ref: false })]);
    clearTimeout(late);
  }

  /** The agent died at it again and again, when nobody may have been there to hear it: who asks again is told the same. */
  #gaveUp({ key, attempt }: OrderRecord): DeckhandError | null {
    const known = knownAttempt(this.#context.store.state, key);
    return known?.attempt === attempt && known.gave_up !== undefined
      ? new DeckhandError('AgentDied', known.gave_up)
      : null;
  }

  #isOpen(order: OrderRecord): boolean {
    return this.#context.store.state.orders.some((one) => idOf(one) === idOf(order));
  }

  /** The order could not be written, and is refused: all is as it was before. */
  #takeBack(
    order: OrderRecord,
    replaced: readonly OrderRecord[],
    before: { attempt: AgentState['attempts'][string] | undefined; ticket: number | undefined },
  ): void {
    const { state } = this.#context.store;
    state.orders = [...replaced, ...state.orders.filter((one) => one !== order)];
    if (before.attempt) state.attempts[order.key] = before.attempt;
    else delete state.attempts[order.key];
    if (state.ticket !== order.ticket) return;
    if (before.ticket === undefined) delete state.ticket;
    else state.ticket = before.ticket;
  }

  /** A later attempt came: the work on an earlier one stops, and what has not ended in it ends in the new one. */
  #supersede(order: OrderRecord, replaced: readonly OrderRecord[]): void {
    for (const one of replaced) this.#settle(one, new Superseded(`attempt ${order.attempt} came`));
    const working = this.#working;
    if (working && working.order.key === order.key && working.order !== order)
      breakOff(working, new Superseded(`attempt ${order.attempt} came`));
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const order = this.#context.store.state.orders[0];
      if (!order) await this.#idle();
      else if (this.#unwritten.has(order)) await this.#untilWoken();
      else if (this.#isOvertaken(order)) await this.#giveUp(order, '; a later order took its place');
      else if (worstDeaths(this.#context.store.state, order) > 0 && performance.now() < this.#resumeAt)
        await this.#untilWoken(this.#resumeAt - performance.now());
      else if ((order.deaths ?? 0) >= DEATHS) await this.#giveUp(order, '');
      else await this.#work(order);
    }
  }

  /** Between orders, what a clean-up did not get done is tried again, until the next order comes. */
  async #idle(): Promise<void> {
    const { state } = this.#context.store;
    if (!hasCleanUps(state)) return this.#untilWoken();
    await this.#untilWoken(CLEAN_UP_EVERY_MS);
    if (this.#stopped || state.orders.length > 0) return;
    const controller = new AbortController();
    const wake = (): void => controller.abort(new Superseded('an order came'));
    this.#wake = wake;
    await cleanUpLater(this.#context, controller.signal).catch((error: unknown) => {
      if (!controller.signal.aborted) this.#logger.error({ err: error }, 'a clean-up broke off');
    });
  }

  async #untilWoken(limitMs?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (limitMs !== undefined) timer = setTimeout(resolve, limitMs);
    });
    clearTimeout(timer);
  }

  /**
   * The agent died at it, and the master has sent something since. What says how the whole host should be takes its place at once;
   * else it gets a second try, since a host may have gone down for other reasons.
   */
  #isOvertaken(order: OrderRecord): boolean {
    const { state } = this.#context.store;
    const deaths = worstDeaths(state, order);
    if (deaths === 0) return false;
    const later = state.orders.slice(state.orders.indexOf(order) + 1).filter((one) => !this.#unwritten.has(one));
    return later.some((one) => deaths >= ALONE_AFTER || isWhole(one));
  }

  /** Ends it without asking the engine for anything more. */
  async #giveUp(order: OrderRecord, why: string): Promise<void> {
    const { kind, operation_id: deployment_id, attempt } = order;
    const deaths = worstDeaths(this.#context.store.state, order);
    const failure = new DeckhandError(
      'AgentDied',
      `the agent died ${deaths} times while it worked on this order${why}; look at its log`,
    );
    this.#logger.error({ kind, deployment_id, attempt, err: failure }, 'an order is given up');
    await giveUp(this.#context, order, failure);
    await this.#leave(order, failure);
  }

  async #work(order: OrderRecord): Promise<void> {
    const [stop, abort] = [new AbortController(), new AbortController()];
    // Every decky of the order listens: more than the ten that Node takes for a leak.
    setMaxListeners(0, stop.signal, abort.signal);
    const { store } = this.#context;
    await store.record((state) => beginOrder(state, order));
    this.#working = { order, stop, abort };
    const { kind, operation_id: deployment_id, attempt } = order;
    this.#logger.info({ kind, deployment_id, attempt }, 'working on an order');
    let failure: unknown = null;
    try {
      await this.#perform(order, stop.signal, abort.signal);
    } catch (error) {
      failure = error;
    } finally {
      this.#working = null;
      this.#context.steps.clear();
    }
    if (failure !== null && stop.signal.aborted) {
      const { reason } = stop.signal;
      // The agent stops, which is no death.
      if (!(reason instanceof Superseded)) return store.record(leaveOrder);
      if (reason instanceof Overtaken) return this.#giveUp(order, '; a later order took its place');
    } else if (failure !== null) this.#logger.error({ err: failure, kind, deployment_id }, 'an order failed');
    await this.#leave(order, failure);
    this.#logger.info({ kind, deployment_id, attempt }, 'an order is done');
  }

  async #leave(order: OrderRecord, failure: unknown): Promise<void> {
    await this.#context.store.record((state) => {
      endOrder(state, order);
      const known = knownAttempt(state, order.key);
      if (failure === null || order.kind !== 'teardown' || known?.attempt !== order.attempt) return;
      // A teardown that failed is done again when it is asked for again, unless it ends the agent.
      if (isDeckhandError(failure) && failure.code === 'AgentDied') known.gave_up = failure.message;
      else delete state.attempts[order.key];
    });
    this.#settle(order, failure);
  }

  #perform(order: OrderRecord, signal: AbortSignal, abort: AbortSignal): Promise<void> {
    const context = this.#context;
    switch (order.kind) {
      case 'deploy':
        return deploy({ order, context, signal, abort });
      case 'mutate':
        return mutate({ order, context, signal, abort });
      case 'teardown':
        return teardown({ order, context, signal, abort });
    }
  }

  #settle(order: OrderRecord, failure: unknown): void {
    const waiters = this.#waiters.get(idOf(order)) ?? [];
    this.#waiters.delete(idOf(order));
    for (const { resolve, reject } of waiters) failure === null ? resolve() : reject(failure);
  }
}

/** A disk that is full or gone ends nothing: the master sends the order again. */
const notWritten = (error: unknown): DeckhandError =>
  new DeckhandError(
    'Unavailable',
    `This host can’t write the order down, so that it does not take it (${error instanceof Error ? error.message : String(error)}). Make room on its disk; the master sends the order again.`,
    { cause: error },
  );

const refusal = (state: AgentState, order: OrderRecord, verdict: 'stale' | 'overtaken'): DeckhandError =>
  new DeckhandError(
    'HostRefused',
    verdict === 'stale'
      ? `A later attempt of operation ${order.operation_id} than ${order.attempt} was accepted already.`
      : `The order of operation ${order.operation_id} has ticket ${order.ticket}, and this host has accepted ticket ${state.ticket} before: a later operation has overtaken it.`,
  );

/** It says how the whole host should be, so that nothing of an order before is wanted any more. */
const isWhole = (order: OrderRecord): boolean =>
  order.kind === 'deploy' || (order.kind === 'teardown' && order.decky_id === null);
