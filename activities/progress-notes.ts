/** Steps of work under way, gathered and written to the rows now and then, so that many deckies cost few statements. */
export type WriteNotes = (steps: ReadonlyMap<string, { step: string; attempt: number }>) => Promise<void>;

/** Often enough for a live view that polls twice a second. */
const FLUSH_MS = 300;

export class ProgressNotes {
  private notes = new Map<string, { step: string; attempt: number }>();
  private timer: NodeJS.Timeout | null = null;
  private readonly write: WriteNotes;
  constructor(write: WriteNotes) {
    this.write = write;
  }

  note(lifecycleId: string, step: string, attempt: number): void {
    this.notes.set(lifecycleId, { step, attempt });
    this.timer ??= setTimeout(() => void this.flush(), FLUSH_MS);
  }

  private async flush(): Promise<void> {
    this.timer = null;
    const notes = this.notes;
    this.notes = new Map();
    // Steps are for screens; losing some while the database is away harms nobody.
    await this.write(notes).catch(() => undefined);
  }
}
