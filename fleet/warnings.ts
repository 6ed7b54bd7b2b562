/** What is accepted and probably not meant. Few are told, since a text can earn a hundred thousand of them. Pure. */

export interface Warning {
  readonly text: string;
  /** The decky or group that it is about; null: the request as a whole. */
  readonly owner: string | null;
}

export const MOST_WARNINGS = 50;

export class Warnings {
  readonly told: Warning[] = [];
  private count = 0;

  /** `make` is not asked for a sentence that nobody will read. */
  add(owner: string | null, make: () => string): void {
    this.count += 1;
    if (this.told.length < MOST_WARNINGS) this.told.push({ owner, text: make() });
  }

  addAll(others: Warnings): void {
    for (const warning of others.told) this.add(warning.owner, () => warning.text);
    this.count += others.untold;
  }

  get untold(): number {
    return this.count - this.told.length;
  }

  /** The sentences, the last of which says how many are not among them. */
  get texts(): readonly string[] {
    const texts = this.told.map(({ text }) => text);
    return this.untold > 0 ? [...texts, `There are ${this.untold} more warnings.`] : texts;
  }
}
