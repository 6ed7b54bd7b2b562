/** The one queue of a host: orders are on disk before they are answered, and worked off one at a time, in order. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../adapters/logger.ts';
import { DeckhandError } from '../fleet/errors.ts';
import { deploy } from './deploy-order.ts';
import { mutate } from './mutate-order.ts';
import {
  type AgentState,
  acceptOrder,
  judgeOrder,
  knownAttempt,
  type OrderRecord,
  prune,
  type TeardownOrderRecord,
} from './state.ts';
import { teardown } from './teardown-order.ts';
import type { Workbench } from './workbench.ts';

/** When the agent stops, what the engine is doing may take this long to end. */
const STOP_GRACE_MS = 5_000;

/** Of an order: thrown to those who wait for a teardown when something else takes its place. */
class Superseded extends Error {
  override readonly name = 'Superseded';
}

interface Working {
  readonly order: OrderRecord;
  /** No new step begins. */
  readonly controller: AbortController;
  /** Calls of the engine are broken off. */
  readonly cutter: AbortController;
}

function breakOff({ controller, cutter }: Working, reason: Error): void {
  controller.abort(reason);
  cutter.abort(reason);
}

export class WorkQueue {
  readonly #bench: Workbench;
  readonly #logger: Logger;
  /** Orders that are not on disk yet: nobody may work on them. */
  readonly #unwritten = new Set<OrderRecord>();
  readonly #waiters = new Map<string, { resolve: () => void; reject: (error: unknown) => void }[]>();
  #working: Working | null = null;
  #wake: () => void = () => {};
  #stopped = false;
  #run: Promise<void> | null = null;

  constructor(bench: Workbench) {
    this.#bench = bench;
    this.#logger = bench.logger;
  }

  get working(): OrderRecord | null {
    return this.#working?.order ?? null;
  }

  /** Resolves once the order, or the same attempt before, is on disk. Throws `HostRefused` for an attempt that was superseded. */
  async accept(order: OrderRecord): Promise<void> {
    const { store } = this.#bench;
    const verdict = judgeOrder(store.state, order);
    if (verdict === 'stale')
      throw new DeckhandError(
        'HostRefused',
        `A later attempt of operation ${order.operation_id} than ${order.attempt} was accepted already.`,
      );
    if (verdict === 'repeat') {
      // It is answered when what it repeats is on disk. Could that not be written, it is taken back, and this one counts.
      await store.change(() => {});
      return judgeOrder(store.state, order) === 'repeat' ? undefined : this.accept(order);
    }
    const before = knownAttempt(store.state, order.key);
    const replaced = store.state.orders.filter((one) => one.key === order.key && one !== this.working);
    this.#unwritten.add(order);
    try {
      await store.change((state) => {
        prune(state, new Date());
        acceptOrder(state, order, this.working);
      });
    } catch (error) {
      this.#takeBack(order, replaced, before);
      throw error;
    } finally {
      this.#unwritten.delete(order);
    }
    this.#supersede(order, replaced);
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
    if (!this.#isOpen(order)) this.#settle(order, null);
    await done;
  }

  /** As {@link finish}, in the place of everything else: what is under way stops, what waits is dropped. */
  async finishAlone(order: TeardownOrderRecord): Promise<void> {
    const { store } = this.#bench;
    await store.record((state) => {
      for (const one of state.orders) this.#settle(one, new Superseded('everything goes'));
      state.orders = state.orders.filter((one) => one === this.working);
    });
    if (this.#working) breakOff(this.#working, new Superseded('everything goes'));
    await this.finish(order);
  }

  start(): void {
    this.#run ??= this.#loop();
  }

  /** Lets the engine end what it is doing; all else stays in the queue. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    const working = this.#working;
    const stops = new DOMException('the agent stops', 'AbortError');
    working?.controller.abort(stops);
    const late = setTimeout(() => working?.cutter.abort(stops), STOP_GRACE_MS);
    await Promise.race([this.#run, sleep(2 * STOP_GRACE_MS, undefined, { ref: false })]);
    clearTimeout(late);
  }

  #isOpen(order: OrderRecord): boolean {
    return this.#bench.store.state.orders.some((one) => idOf(one) === idOf(order));
  }

  /** The order could not be written, and is refused: all is as it was before. */
  #takeBack(
    order: OrderRecord,
    replaced: readonly OrderRecord[],
    before: AgentState['attempts'][string] | undefined,
  ): void {
    const { state } = this.#bench.store;
    state.orders = [...replaced, ...state.orders.filter((one) => one !== order)];
    if (before) state.attempts[order.key] = before;
    else delete state.attempts[order.key];
  }

  /** The master has decided anew: who works on an earlier attempt stops, and what has not ended ends in the new one. */
  #supersede(order: OrderRecord, replaced: readonly OrderRecord[]): void {
    for (const one of replaced) this.#settle(one, new Superseded(`attempt ${order.attempt} came`));
    const working = this.#working;
    if (working && working.order.key === order.key && working.order !== order)
      breakOff(working, new Superseded(`attempt ${order.attempt} came`));
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const order = this.#bench.store.state.orders[0];
      if (order && !this.#unwritten.has(order)) await this.#work(order);
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  async #work(order: OrderRecord): Promise<void> {
    const [controller, cutter] = [new AbortController(), new AbortController()];
    // Every decky of the order listens: more than the ten that Node takes for a leak.
    setMaxListeners(0, controller.signal, cutter.signal);
    this.#working = { order, controller, cutter };
    const { kind, operation_id: deployment_id, attempt } = order;
    this.#logger.info({ kind, deployment_id, attempt }, 'working on an order');
    let failure: unknown = null;
    try {
      await this.#perform(order, controller.signal, cutter.signal);
    } catch (error) {
      if (controller.signal.aborted && !(controller.signal.reason instanceof Superseded)) return;
      failure = error;
      if (!controller.signal.aborted) this.#logger.error({ err: error, kind, deployment_id }, 'an order failed');
    } finally {
      this.#working = null;
      this.#bench.steps.clear();
    }
    await this.#bench.store.record((state) => {
      state.orders = state.orders.filter((one) => one !== order);
      // A teardown that failed is done again when it is asked for again.
      if (failure !== null && knownAttempt(state, order.key)?.attempt === attempt) delete state.attempts[order.key];
    });
    this.#settle(order, failure);
    this.#logger.info({ kind, deployment_id, attempt }, 'an order is done');
  }

  #perform(order: OrderRecord, signal: AbortSignal, cut: AbortSignal): Promise<void> {
    const bench = this.#bench;
    switch (order.kind) {
      case 'deploy':
        return deploy({ order, bench, signal, cut });
      case 'mutate':
        return mutate({ order, bench, signal, cut });
      case 'teardown':
        return teardown({ order, bench, signal, cut });
    }
  }

  #settle(order: OrderRecord, failure: unknown): void {
    const waiters = this.#waiters.get(idOf(order)) ?? [];
    this.#waiters.delete(idOf(order));
    for (const { resolve, reject } of waiters) failure === null ? resolve() : reject(failure);
  }
}

const idOf = ({ key, attempt, kind }: OrderRecord): string => `${kind} ${attempt} ${key}`;
