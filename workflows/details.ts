/**
 * What the Web UI shows as a workflow's current details, and the `progress` query answers.
 *
 * 1. {@link DeckyDetails}: which deckies are done, and what is waited for.
 * 2. {@link PartDetails}: what a deployment waits for, from several of its parts at once.
 */
import { setCurrentDetails, setHandler } from '@temporalio/workflow';
import { type Progress, progressQuery, troubleSignal } from './messages.ts';
import type { Counts } from './operation.ts';

const SHOWN = 20;

const listed = (names: readonly string[]): string =>
  names.length <= SHOWN ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`;

export class DeckyDetails {
  private now: Progress = { done: [], failed: [], open: [], waitingFor: null };
  private trouble: string | null = null;

  constructor() {
    setHandler(progressQuery, (): Progress => this.now);
    setHandler(troubleSignal, ({ text }) => {
      this.trouble = text;
      this.set();
    });
  }

  expect(names: readonly string[]): void {
    this.show({ ...this.now, open: [...this.now.open, ...names] });
  }

  /** States what is waited for, on whom, until when; null: for the open deckies themselves. */
  waitFor(sentence: string | null): void {
    this.show({ ...this.now, waitingFor: sentence });
  }

  ended(name: string, succeeded: boolean): void {
    const { done, failed, open, waitingFor } = this.now;
    this.show({
      done: succeeded ? [...done, name] : done,
      failed: succeeded ? failed : [...failed, name],
      open: open.filter((one) => one !== name),
      waitingFor,
    });
  }

  get counts(): Counts {
    return { succeeded: this.now.done.length, failed: this.now.failed.length };
  }

  /** Trouble is shown until something ends, or something else is waited for. */
  show(progress: Progress): void {
    const { done, failed, waitingFor } = this.now;
    const isSame =
      progress.waitingFor === waitingFor &&
      progress.done.length === done.length &&
      progress.failed.length === failed.length;
    if (!isSame) this.trouble = null;
    this.now = progress;
    this.set();
  }

  private set(): void {
    const { done, failed, open, waitingFor } = this.now;
    setCurrentDetails(
      [
        '| | deckies |',
        '|---|---|',
        `| done (${done.length}) | ${listed(done)} |`,
        `| failed (${failed.length}) | ${listed(failed)} |`,
        '',
        `**Waiting for** ${waitingFor ?? (open.length > 0 ? listed(open) : 'nothing')}`,
        ...(this.trouble === null ? [] : ['', `**Retried:** ${this.trouble}`]),
      ].join('\n'),
    );
  }
}

export class PartDetails {
  private readonly sentences = new Map<string, string>();
  private done = 0;

  /** `sentence` is what follows "Waiting for". */
  begin(part: string, sentence: string): void {
    this.sentences.set(part, sentence);
    this.set();
  }

  end(part: string): void {
    if (this.sentences.delete(part)) this.done += 1;
    this.set();
  }

  private set(): void {
    const lines = [...this.sentences.values()].map((sentence) => `**Waiting for** ${sentence}`);
    const more = lines.length > SHOWN ? [`and ${lines.length - SHOWN} more`] : [];
    setCurrentDetails(
      [`${this.done} parts done, ${lines.length} open`, ...lines.slice(0, SHOWN), ...more].join('\n\n'),
    );
  }
}
