/** What a deployment waits for, from several of its parts at once, as current details of the Web UI. */
import { setCurrentDetails } from '@temporalio/workflow';

const SHOWN = 20;

export class Waits {
  private readonly sentences = new Map<string, string>();
  private done = 0;

  /** `sentence` is what follows "Waiting for". */
  begin(part: string, sentence: string): void {
    this.sentences.set(part, sentence);
    this.show();
  }

  end(part: string): void {
    if (this.sentences.delete(part)) this.done += 1;
    this.show();
  }

  private show(): void {
    const lines = [...this.sentences.values()].map((sentence) => `**Waiting for** ${sentence}`);
    const more = lines.length > SHOWN ? [`and ${lines.length - SHOWN} more`] : [];
    setCurrentDetails(
      [`${this.done} parts done, ${lines.length} open`, ...lines.slice(0, SHOWN), ...more].join('\n\n'),
    );
  }
}
