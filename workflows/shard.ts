/**
 * The child that does one host's share of a deployment (`deploy/<id>/host/<host_uuid>`).
 *
 * 1. Its input.
 * 2. The loop: it waits for the next event, has fleet/shard-state.ts decide, and performs the effects.
 * 3. What effects do: requests, slots, rows.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Transition } from '../fleet/lifecycle.ts';
import {
  isOver,
  newShard,
  type RequestFailure,
  type ShardEffect,
  type ShardEvent,
  type ShardState,
  type ShardTerms,
  waitingFor,
} from '../fleet/shard-model.ts';
import { continued, mayContinue, step } from '../fleet/shard-state.ts';
import type { OperationPart } from '../operations/operation-parts.ts';
import type { RolloutTerms } from '../operations/store.ts';
import { onAgent, openRows, settleShard } from './activities.ts';
import { DeckyDetails } from './details.ts';
import { heartbeatSignal, slotGrantedSignal, slotSignal } from './messages.ts';
import { type Counts, Lane, rowError } from './operation.ts';
import { ASK, AWAIT_HOST, DISPATCH, RECALL } from './profiles.ts';

/** Events after which a new run begins; Temporal warns at 10,240 and ends a workflow at 51,200. */
const MOST_EVENTS = 4_000;

interface DeployShardInput extends ShardTerms {
  readonly operationId: string;
  readonly hostUuid: string;
  /** False: it has to wait for its turn in the host's lane. */
  readonly turn: boolean;
  /** True: it holds one of the deployment's `max_parallel` slots; false: it has to ask for one; null: there are enough for all. */
  readonly slot: boolean | null;
  /** Events after which a new run begins; absent: as many as is sound. */
  readonly mostEvents?: number;
  /** From the run before: what was reported is taken in and written, and the lane is its own. */
  readonly carry?: ShardState;
}

/** The part of an operation that belongs to a host. */
export type HostPart = OperationPart & { readonly hostUuid: string };

/** Whether it is a host's, and not the master's own. */
export const isOfHost = (part: OperationPart): part is HostPart => Boolean(part.hostUuid);

/** The input for the part of an operation that belongs to a host. */
export const shardInput = (
  operationId: string,
  part: HostPart,
  { minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs, hostLostAfterMs }: RolloutTerms,
  slot: boolean | null,
): DeployShardInput => ({
  operationId,
  hostUuid: part.hostUuid,
  hostName: part.hostName ?? part.hostUuid,
  turn: part.turn === true,
  slot,
  minHealthyTimeMs,
  healthyDeadlineMs,
  progressDeadlineMs,
  hostLostAfterMs,
});

export async function deployShard(input: DeployShardInput): Promise<Counts> {
  const state = await workOnShard(input);
  await condition(allHandlersFinished);
  if (state.phase === 'continued') return continueAsNew<typeof deployShard>({ ...input, carry: state });
  return countsOf(state);
}

export const countsOf = ({ done, failed }: ShardState): Counts => ({ succeeded: done.length, failed: failed.length });

/**
 * Resolves when no row of it is open and its lane is left, also where the workflow is cancelled; or, where its history is long, with
 * what the next run goes on from: `continued`.
 */
export function workOnShard(input: DeployShardInput): Promise<ShardState> {
  const inbox: ShardEvent[] = [];
  setHandler(heartbeatSignal, ({ reports }) => {
    inbox.push({ type: 'report', reports });
  });
  setHandler(slotGrantedSignal, (grant) => {
    inbox.push({ type: 'slotGranted', forGood: grant?.forGood ?? false });
  });
  const scope = CancellationScope.current();
  if (scope.consideredCancelled) inbox.push({ type: 'cancelled' });
  else scope.cancelRequested.catch(() => inbox.push({ type: 'cancelled' }));
  inbox.push({ type: 'started', turn: input.turn });
  const shard = new Shard(input, inbox);
  // A cancellation is an event like others: what it needs done is done by the same loop.
  return CancellationScope.nonCancellable(() => shard.run());
}

class Shard {
  private readonly input: DeployShardInput;
  private readonly inbox: ShardEvent[];
  private readonly workflowId = workflowInfo().workflowId;
  private readonly parentId = workflowInfo().parent?.workflowId ?? null;
  private readonly lane: Lane;
  private readonly details = new DeckyDetails();
  private readonly rows: EndedRows;
  private state: ShardState;
  private sleepUntil: number | null = null;
  /** The request whose answer is waited for. */
  private underWay = new CancellationScope();

  constructor(input: DeployShardInput, inbox: ShardEvent[]) {
    this.input = input;
    this.inbox = inbox;
    this.lane = new Lane(input.operationId);
    this.rows = new EndedRows(input);
    const bounded = input.slot !== null && this.parentId !== null;
    const { hostName, minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs, hostLostAfterMs } = input;
    const terms = { hostName, minHealthyTimeMs, healthyDeadlineMs, progressDeadlineMs, hostLostAfterMs };
    this.state = input.carry
      ? continued(input.carry)
      : newShard(terms, { bounded, holds: input.slot !== false }, Date.now());
  }

  async run(): Promise<ShardState> {
    while (!isOver(this.state)) {
      const event = await this.nextEvent();
      const { state, effects } = step(this.state, event, Date.now());
      this.state = state;
      for (const effect of effects) await this.perform(effect);
      const { done, failed, rows } = state;
      this.details.show({ done, failed, open: rows.map((row) => row.deckyName), waitingFor: waitingFor(state) });
    }
    if (this.state.phase === 'ended') await this.rows.settle();
    return this.state;
  }

  /** What came comes first; time has passed only when nothing else has come. */
  private async nextEvent(): Promise<ShardEvent> {
    if (mayContinue(this.state) && !this.rows.hasFailed && this.isLong()) {
      await this.rows.drain();
      if (this.inbox.length === 0) return { type: 'historyLong' };
    }
    // The last ones are written with the end of the lane.
    if (this.inbox.length === 0) this.rows.flush(() => this.state.rows.length > 0);
    const hasCome = (): boolean => this.inbox.length > 0;
    const waitMs = this.sleepUntil === null ? null : this.sleepUntil - Date.now();
    if (waitMs === null) await condition(hasCome);
    else if (waitMs > 0) await condition(hasCome, waitMs);
    return this.inbox.shift() ?? { type: 'tick' };
  }

  private isLong(): boolean {
    const { historyLength, continueAsNewSuggested } = workflowInfo();
    return historyLength > (this.input.mostEvents ?? MOST_EVENTS) || continueAsNewSuggested;
  }

  private async perform(effect: ShardEffect): Promise<void> {
    const { hostUuid, hostName, operationId } = this.input;
    const { workflowId } = this;
    const host = { hostUuid, operationId, workflowId };
    switch (effect.type) {
      case 'sleepUntil':
        this.sleepUntil = effect.at;
        break;
      case 'endRow':
        this.rows.push(effect.transition);
        break;
      case 'abort':
        this.underWay.cancel();
        break;
      case 'wantSlot':
        await this.tellParent(true);
        break;
      case 'yieldSlot':
        await this.tellParent(false);
        break;
      case 'giveHostUp':
        await onAgent(ASK, `give up ${hostName}`)
          .giveHostUp({ hostUuid })
          .catch(() => undefined);
        break;
      case 'awaitTurn':
        this.request(effect, async () => {
          await this.lane.enter(hostUuid);
          return { type: 'turn' };
        });
        break;
      case 'readRows':
        this.request(effect, async () => ({ type: 'rows', rows: await openRows({ workflowId }) }));
        break;
      case 'dispatch': {
        const { attempt, rowsKnown, retryUntil } = effect;
        const agent = onAgent(DISPATCH, `order to ${hostName}`);
        this.request(effect, async () => ({
          type: 'dispatched',
          ...(await agent.dispatchShard({ ...host, attempt, rowsKnown, retryUntil })),
        }));
        break;
      }
      case 'ask': {
        const { attempt } = effect;
        const agent = onAgent(ASK, `ask ${hostName}`);
        this.request(effect, async () => ({
          type: 'observation',
          observation: await agent.askHost({ ...host, attempt }),
        }));
        break;
      }
      case 'awaitHost': {
        const { until, waitMs } = effect;
        // Its tries leave no history.
        const agent = onAgent(AWAIT_HOST(waitMs), `wait for ${hostName}`);
        this.request(effect, async () => {
          await agent.awaitHost({ ...host, until });
          return { type: 'answered' };
        });
        break;
      }
      case 'recall': {
        const { attempt } = effect;
        const agent = onAgent(RECALL, `recall from ${hostName}`);
        this.request(effect, async () => {
          await this.rows.drain();
          return { type: 'recalled', recalled: await agent.recallShard({ ...host, attempt }) };
        });
        break;
      }
    }
  }

  /** Its answer is an event, and so is its failure; once it is aborted, neither. */
  private request({ request }: { readonly request: number }, ask: () => Promise<Answered>): void {
    const scope = new CancellationScope();
    this.underWay = scope;
    scope.run(ask).then(
      (answer) => this.inbox.push({ ...answer, request }),
      (failure: unknown) => this.inbox.push({ type: 'failed', failure: failureOf(failure), request }),
    );
  }

  /**
   * A parent that is gone takes its children with it. One that can't be told of a wish (it has had all the signals that Temporal
   * allows) would leave the shard waiting for ever: the shard goes on without a slot.
   */
  private async tellParent(wants: boolean): Promise<void> {
    if (this.parentId === null) return;
    const { hostUuid } = this.input;
    await getExternalWorkflowHandle(this.parentId)
      .signal(slotSignal, { hostUuid, wants })
      .catch(() => {
        if (wants) this.inbox.push({ type: 'slotGranted', forGood: true });
      });
  }
}

type OmitRequest<T> = T extends unknown ? Omit<T, 'request'> : never;
type Answered = OmitRequest<Extract<ShardEvent, { readonly request: number }>>;

function failureOf(failure: unknown): RequestFailure {
  const cause = failure instanceof ActivityFailure ? failure.cause : null;
  const application = cause instanceof ApplicationFailure ? cause : null;
  return {
    code: application?.type ?? null,
    final: application?.nonRetryable === true || isCancellation(failure),
    message: application?.message ?? String(failure),
    error: rowError(failure, 'progress_deadline'),
  };
}

/** Bounds the payload of one activity: 200 errors of 2,000 characters stay below Temporal's 512 KiB warning. */
const BATCH = 200;

/**
 * Writes the rows that have ended, in batches. A batch that can't be written for good leaves its rows open: the workflow fails at its
 * end, and its parent ends them by what the host says.
 */
class EndedRows {
  private readonly queue: Transition[] = [];
  private readonly release: { readonly hostUuid: string; readonly operationId: string };
  private writing = false;
  private failure: unknown = null;

  constructor({ hostUuid, operationId }: DeployShardInput) {
    this.release = { hostUuid, operationId };
  }

  /** Whether a batch could not be written. A next run would know nothing of it. */
  get hasFailed(): boolean {
    return this.failure !== null;
  }

  push(transition: Transition): void {
    this.queue.push(transition);
  }

  /** Writes in the background, as long as rows are open: the last ones are written with the end of the lane. */
  flush(hasOpen: () => boolean): void {
    if (!this.writing && this.queue.length > 0) void this.write(hasOpen);
  }

  /** Writes all that has ended by now. What is queued is taken at once: nothing else may write it meanwhile. */
  async drain(): Promise<void> {
    while (this.writing || this.queue.length > 0) {
      if (this.writing) await condition(() => !this.writing);
      else await this.write(() => true);
    }
  }

  /** Writes what is left and gives the host's lane to the next operation, in one activity. Throws what kept a batch from being written. */
  async settle(): Promise<void> {
    await condition(() => !this.writing);
    await this.write(() => this.queue.length > BATCH);
    if (this.failure === null) await settleShard({ transitions: this.queue.splice(0), release: this.release });
    else await this.drain();
    if (this.failure !== null) throw this.failure;
  }

  /** Never throws: nobody awaits it in the background, and an unhandled rejection would fail the workflow's task in a loop. */
  private write(goesOn: () => boolean): Promise<void> {
    return CancellationScope.nonCancellable(async () => {
      this.writing = true;
      while (this.queue.length > 0 && goesOn()) await this.writeBatch();
      this.writing = false;
    });
  }

  private async writeBatch(): Promise<void> {
    try {
      await settleShard({ transitions: this.queue.splice(0, BATCH) });
    } catch (failure) {
      this.failure ??= failure;
    }
  }
}
