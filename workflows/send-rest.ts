/** What the worker could not send of an operation's events when they were recorded gets one more try at its end; the sweep is the next. */
import { CancellationScope } from '@temporalio/workflow';
import { publishTransitions } from './activities.ts';

/** Never fails, also where the operation was cancelled. */
export const sendRest = (): Promise<unknown> =>
  CancellationScope.nonCancellable(() => publishTransitions().catch(() => undefined));
