/** The rows of a shard: which are open, what came in about them, and what has to be written. */
import { CancellationScope, condition } from '@temporalio/workflow';
import type { ShardRow } from '../activities/agents.ts';
import type { DeckyState, Transition } from '../fleet/lifecycle.ts';
import { STATUS } from '../fleet/lifecycle.ts';
import { settleShard } from './activities.ts';
import type { Board } from './board.ts';

/** Bounds the payload of one activity: 200 errors of 2,000 characters stay below Temporal's 512 KiB warning. */
const BATCH = 200;

export class ShardLedger {
  private readonly rows = new Map<string, ShardRow>();
  private readonly queue: Transition[] = [];
  private readonly target: { readonly hostUuid: string; readonly operationId: string };
  private readonly board: Board;
  private writing = false;
  /** True once the rows are known. */
  known = false;

  constructor(target: { readonly hostUuid: string; readonly operationId: string }, board: Board) {
    this.target = target;
    this.board = board;
  }

  /** The rows as the database has them open; those that ended meanwhile are not named again. */
  expect(rows: readonly ShardRow[]): void {
    if (this.known) return;
    this.known = true;
    for (const row of rows) this.rows.set(row.deckyName, row);
    this.board.expect(rows.map((row) => row.deckyName));
  }

  get open(): readonly ShardRow[] {
    return [...this.rows.values()];
  }

  isOpen(deckyName: string): boolean {
    return this.rows.has(deckyName);
  }

  succeed(deckyName: string, seen: DeckyState | null): void {
    this.end(deckyName, { status: STATUS.succeeded, ...(seen ? { seen } : {}) });
  }

  /** `error`: a whole row text. */
  fail(deckyName: string, error: string, seen: DeckyState | null): void {
    this.end(deckyName, { status: STATUS.failed, error, ...(seen ? { seen } : {}) });
  }

  /** Fails a row without the agent's word for it: what its host does with what it was sent is not known. */
  giveUp(deckyName: string, error: string): void {
    this.end(deckyName, { status: STATUS.failed, error, unsure: true });
  }

  /** Writes what has ended so far, in the background; the last ones wait for {@link settle}. */
  flush(): void {
    if (this.writing || this.queue.length === 0 || this.rows.size === 0) return;
    void CancellationScope.nonCancellable(() => this.write());
  }

  /** Writes all that has ended by now. */
  async drain(): Promise<void> {
    await condition(() => !this.writing);
    while (this.queue.length > 0) await settleShard({ transitions: this.queue.splice(0, BATCH) });
  }

  /** Writes what is left and gives the host's lane to the next operation, in one activity. */
  async settle(): Promise<void> {
    await condition(() => !this.writing);
    while (this.queue.length > BATCH) await settleShard({ transitions: this.queue.splice(0, BATCH) });
    await settleShard({ transitions: this.queue.splice(0), release: this.target });
  }

  private end(deckyName: string, ending: Pick<Transition, 'status' | 'error' | 'seen' | 'unsure'>): void {
    const row = this.rows.get(deckyName);
    if (!row) return;
    this.rows.delete(deckyName);
    this.queue.push({ lifecycleId: row.lifecycleId, deckyName, ...ending });
    this.board.ended(deckyName, ending.status === STATUS.succeeded);
  }

  private async write(): Promise<void> {
    this.writing = true;
    while (this.queue.length > 0 && this.rows.size > 0) await settleShard({ transitions: this.queue.splice(0, BATCH) });
    this.writing = false;
  }
}
