/** Who is done, who is waited for: kept in the workflow, shown as current details in the Web UI and by the `progress` query. */
import { setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { Progress } from './messages.ts';
import { progressQuery, troubleSignal } from './messages.ts';

const SHOWN = 20;

const listed = (names: readonly string[]): string =>
  names.length <= SHOWN ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`;

export class Board {
  private readonly open = new Set<string>();
  private readonly done: string[];
  private readonly failed: string[];
  private waitingFor: string | null = null;
  private trouble: string | null = null;

  /** `ends`: of a run before. */
  constructor({
    done = [],
    failed = [],
  }: { readonly done?: readonly string[]; readonly failed?: readonly string[] } = {}) {
    this.done = [...done];
    this.failed = [...failed];
    setHandler(
      progressQuery,
      (): Progress => ({ done: this.done, failed: this.failed, open: [...this.open], waitingFor: this.waitingFor }),
    );
    setHandler(troubleSignal, ({ text }) => this.troubled(text));
  }

  /** Shown until something ends, or something else is waited for. */
  private troubled(text: string): void {
    this.trouble = text;
    this.show();
  }

  expect(names: readonly string[]): void {
    for (const name of names) this.open.add(name);
    this.show();
  }

  /** States what is waited for, on whom, until when; null: for the open deckies themselves. */
  waitFor(sentence: string | null): void {
    this.waitingFor = sentence;
    this.trouble = null;
    this.show();
  }

  ended(name: string, succeeded: boolean): void {
    this.open.delete(name);
    this.trouble = null;
    (succeeded ? this.done : this.failed).push(name);
    this.show();
  }

  get ends(): { readonly done: readonly string[]; readonly failed: readonly string[] } {
    return { done: this.done, failed: this.failed };
  }

  get counts(): { succeeded: number; failed: number } {
    return { succeeded: this.done.length, failed: this.failed.length };
  }

  private show(): void {
    const waiting = this.waitingFor ?? (this.open.size > 0 ? listed([...this.open]) : 'nothing');
    setCurrentDetails(
      [
        '| | deckies |',
        '|---|---|',
        `| done (${this.done.length}) | ${listed(this.done)} |`,
        `| failed (${this.failed.length}) | ${listed(this.failed)} |`,
        '',
        `**Waiting for** ${waiting}`,
        ...(this.trouble === null ? [] : ['', `**Retried:** ${this.trouble}`]),
      ].join('\n'),
    );
  }
}
