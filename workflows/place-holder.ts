/**
 * A shard's side of the deployment's window: at most `max_parallel` hosts dispatch or converge at once. A shard that waits
 * for its turn or for a silent host gives its place back; that one has ended, the parent sees by itself. While all goes well no signal is needed: it starts with a place.
 */
import { getExternalWorkflowHandle, setHandler } from '@temporalio/workflow';
import { MOST_YIELDS } from '../fleet/limits.ts';
import { placeGrantedSignal, placeSignal } from './messages.ts';

export interface PlaceState {
  readonly holds: boolean;
  /** It has asked for a place and got none yet. */
  readonly asked: boolean;
  readonly yields: number;
}

export class PlaceHolder {
  private now: PlaceState;
  private readonly bounded: boolean;
  private readonly hostUuid: string;
  private readonly parentId: string | null;

  /** Sets the handler of `placeGranted`: make it before the workflow's first await. */
  constructor(
    input: {
      readonly hostUuid: string;
      readonly place: boolean | null;
      readonly carry?: { readonly place: PlaceState };
    },
    parentId: string | null,
  ) {
    this.bounded = input.place !== null && parentId !== null;
    this.now = input.carry?.place ?? { holds: input.place !== false, asked: false, yields: 0 };
    this.hostUuid = input.hostUuid;
    this.parentId = parentId;
    setHandler(placeGrantedSignal, (grant) => {
      // One that was given back meanwhile is nobody's.
      if (!this.now.asked) return;
      const yields = grant?.forGood ? MOST_YIELDS : this.now.yields;
      this.now = { holds: true, asked: false, yields };
    });
  }

  get holds(): boolean {
    return !this.bounded || this.now.holds;
  }

  get state(): PlaceState {
    return this.now;
  }

  /** Asks for a place, once, and does not wait for it. */
  async want(): Promise<void> {
    if (this.holds || this.now.asked) return;
    this.now = { ...this.now, asked: true };
    await this.tell(true);
  }

  /** Gives the place back, or the wish for one, while nothing can be done. */
  async yield(): Promise<void> {
    const { holds, asked, yields } = this.now;
    if (!this.bounded || !(holds || asked) || yields >= MOST_YIELDS) return;
    this.now = { holds: false, asked: false, yields: yields + 1 };
    await this.tell(false);
  }

  private async tell(wants: boolean): Promise<void> {
    if (this.parentId === null) return;
    await getExternalWorkflowHandle(this.parentId).signal(placeSignal, { hostUuid: this.hostUuid, wants });
  }
}
