/**
 * How long containers have run. The engine's clock may be minutes away from ours, and either may be set while a decky is
 * watched: so an age counts from the first look that saw that start, by a clock that nobody sets. What the engine's own clock
 * says at that first look is added, since a container may have run for long before anybody looked.
 */
import type { Inspection } from './fate.ts';

interface Start {
  /** Which start of the container it is about. */
  readonly start: string;
  /** By the steady clock, in milliseconds. */
  readonly firstSeen: number;
  /** How old it was then, by the engine's clock. */
  readonly ageMs: number;
}

/** More than an engine has containers; the oldest are forgotten first, and measured anew when they are seen again. */
const MOST = 20_000;

const startOf = ({ startedAt, restarts }: Inspection): string => `${startedAt}/${restarts}`;

export class Ages {
  readonly #starts = new Map<string, Start>();
  readonly #steadyNow: () => number;

  constructor(steadyNow: () => number = () => performance.now()) {
    this.#steadyNow = steadyNow;
  }

  /** Whether one of them was not seen before in this run of it: then the engine's clock has to be asked. */
  hasNew(containers: readonly Inspection[]): boolean {
    return containers.some((container) => this.#starts.get(container.id)?.start !== startOf(container));
  }

  /** `engineNow`: epoch milliseconds by the engine's own clock. */
  note(containers: readonly Inspection[], engineNow: number): void {
    for (const container of containers) {
      if (!this.hasNew([container])) continue;
      this.#starts.delete(container.id);
      const ageMs = Math.max(0, engineNow - container.startedAt) || 0;
      this.#starts.set(container.id, { start: startOf(container), firstSeen: this.#steadyNow(), ageMs });
    }
    for (const id of this.#starts.keys()) {
      if (this.#starts.size <= MOST) break;
      this.#starts.delete(id);
    }
  }

  /** In milliseconds; 0 for a start that was not noted. */
  of(container: Inspection): number {
    const known = this.#starts.get(container.id);
    if (known?.start !== startOf(container)) return 0;
    return known.ageMs + (this.#steadyNow() - known.firstSeen);
  }
}
