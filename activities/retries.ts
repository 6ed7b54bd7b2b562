/**
 * Why an activity is retried. Temporal retries it by itself and tells nobody. So the error of the last attempt and the deadline
 * are kept here, for the row's step and the workflow's details. After a restart of the worker, the next failure tells them again.
 */
import { activityInfo, type Info } from '@temporalio/activity';
import { retriedText } from '../fleet/text.ts';

/** More than activities run at one time; the oldest are forgotten first. */
const MOST = 2_000;
/** How often one activity tells its workflow: each time is an event in a history. */
const MOST_TOLD = 5;

interface Failed {
  readonly error: string;
  readonly told: number;
}

const keyOf = ({ workflowExecution, activityId }: Info): string =>
  `${workflowExecution?.workflowId}/${workflowExecution?.runId}/${activityId}`;

/** Epoch milliseconds; null where it is tried for ever. */
const deadlineOf = ({ scheduledTimestampMs, scheduleToCloseTimeoutMs }: Info): number | null =>
  scheduleToCloseTimeoutMs > 0 ? scheduledTimestampMs + scheduleToCloseTimeoutMs : null;

export class Retries {
  readonly #failed = new Map<string, Failed>();

  /** The step as a screen shows it: with the last error and the deadline, where an attempt has failed. */
  step(text: string): string {
    const info = activityInfo();
    const failed = this.#failed.get(keyOf(info));
    return failed ? retriedText(text, failed.error, deadlineOf(info)) : text;
  }

  /** To be called when an attempt failed and another one follows; says whether the workflow should hear of it. */
  note(error: string): boolean {
    const key = keyOf(activityInfo());
    const before = this.#failed.get(key) ?? { error: '', told: 0 };
    const tells = before.error !== error && before.told < MOST_TOLD;
    this.#failed.delete(key);
    this.#failed.set(key, { error, told: before.told + (tells ? 1 : 0) });
    for (const oldest of this.#failed.keys()) {
      if (this.#failed.size <= MOST) break;
      this.#failed.delete(oldest);
    }
    return tells;
  }

  /** No attempt follows. */
  forget(): void {
    this.#failed.delete(keyOf(activityInfo()));
  }
}
