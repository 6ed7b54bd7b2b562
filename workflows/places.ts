/** The deployment's window over hosts: who holds one of the `max_parallel` places, and who waits for one, in order. */
import { condition, getExternalWorkflowHandle, setHandler, workflowInfo } from '@temporalio/workflow';
import { placeGrantedSignal, placeSignal } from './messages.ts';

export class Places {
  private size = Number.POSITIVE_INFINITY;
  private forGoodFrom = Number.POSITIVE_INFINITY;
  private readonly holders = new Set<string>();
  private readonly asking: string[] = [];
  /** Hosts that were not begun yet. */
  private readonly queue: string[] = [];

  /** Sets the handler of the `place` signal: make it before the workflow's first await. */
  constructor() {
    setHandler(placeSignal, ({ hostUuid, wants }) => {
      if (wants) this.asking.push(hostUuid);
      else this.leave(hostUuid);
    });
  }

  /** `forGoodFrom`: the length of the history from which a place is granted for good. */
  open(size: number, forGoodFrom: number): void {
    this.size = size;
    this.forGoodFrom = forGoodFrom;
  }

  private get free(): boolean {
    return this.holders.size < this.size;
  }

  /** Resolves when the host has a place; those that ask by signal come first, since they were begun earlier. */
  async take(hostUuid: string): Promise<void> {
    this.queue.push(hostUuid);
    // Only the first may go: two whose condition came true together would both go in.
    await condition(() => this.free && this.asking.length === 0 && this.queue[0] === hostUuid);
    this.queue.shift();
    this.holders.add(hostUuid);
  }

  /** The host's shard has ended, or has no use for a place now. */
  leave(hostUuid: string): void {
    this.holders.delete(hostUuid);
    const at = this.asking.indexOf(hostUuid);
    if (at >= 0) this.asking.splice(at, 1);
  }

  /** Grants places to shards that ask, until `done`. `workflowIdOf`: the shard of a host. */
  async grant(workflowIdOf: (hostUuid: string) => string | undefined, done: () => boolean): Promise<void> {
    for (;;) {
      await condition(() => done() || (this.free && this.asking.length > 0));
      if (done()) return;
      const hostUuid = this.asking.shift();
      const workflowId = hostUuid && workflowIdOf(hostUuid);
      if (!hostUuid || !workflowId) continue;
      this.holders.add(hostUuid);
      const forGood = workflowInfo().historyLength >= this.forGoodFrom;
      // A shard that has ended meanwhile needs none.
      await getExternalWorkflowHandle(workflowId)
        .signal(placeGrantedSignal, { forGood })
        .catch(() => this.holders.delete(hostUuid));
    }
  }
}
