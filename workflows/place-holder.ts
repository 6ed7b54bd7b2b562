/**
 * A shard's side of the deployment's window: at most `max_parallel` hosts dispatch or converge at once. A shard that waits
 * for its turn or for a silent host gives its place back; that one has ended, the parent sees by itself. While all goes well no signal is needed: it starts with a place.
 */
import { condition, getExternalWorkflowHandle, setHandler } from '@temporalio/workflow';
import { placeGrantedSignal, placeSignal } from './messages.ts';

export class PlaceHolder {
  private holds: boolean;
  private readonly bounded: boolean;
  private readonly hostUuid: string;
  private readonly parentId: string | null;

  /** Sets the handler of `placeGranted`: make it before the workflow's first await. */
  constructor(input: { readonly hostUuid: string; readonly place: boolean | null }, parentId: string | null) {
    this.bounded = input.place !== null && parentId !== null;
    this.holds = input.place !== false;
    this.hostUuid = input.hostUuid;
    this.parentId = parentId;
    setHandler(placeGrantedSignal, () => {
      this.holds = true;
    });
  }

  /** Resolves when the shard has a place. */
  async take(): Promise<void> {
    if (!this.bounded || this.holds) return;
    await this.tell(true);
    await condition(() => this.holds);
  }

  /** Gives the place back while nothing can be done. */
  async yield(): Promise<void> {
    if (!this.bounded || !this.holds) return;
    this.holds = false;
    await this.tell(false);
  }

  private async tell(wants: boolean): Promise<void> {
    if (this.parentId === null) return;
    await getExternalWorkflowHandle(this.parentId).signal(placeSignal, { hostUuid: this.hostUuid, wants });
  }
}
