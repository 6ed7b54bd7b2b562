/** At most `size` pieces of work at a time; the rest wait in order. */
import { condition } from '@temporalio/workflow';

export class Window {
  private inside = 0;
  private readonly waiting: symbol[] = [];
  private readonly size: number;
  constructor(size: number) {
    this.size = size;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const place = Symbol('place');
    this.waiting.push(place);
    try {
      await condition(() => this.inside < this.size && this.waiting[0] === place);
    } catch (error) {
      this.leave(place);
      throw error;
    }
    this.leave(place);
    this.inside += 1;
    try {
      return await work();
    } finally {
      this.inside -= 1;
    }
  }

  private leave(place: symbol): void {
    this.waiting.splice(this.waiting.indexOf(place), 1);
  }
}
