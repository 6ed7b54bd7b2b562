/** From a failure of Temporal's to the sentence that ends a row. */
import { RetryState } from '@temporalio/common';
import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import type { ErrorCode } from '../fleet/errors.ts';
import { ERRORS, errorText, isErrorCode } from '../fleet/errors.ts';

/** `during` names the deadline that applied ("progress_deadline") and is used where time ran out. */
export function rowError(error: unknown, during: 'progress_deadline' | 'healthy_deadline'): string {
  if (isCancellation(error)) return errorText('Cancelled', 'the operation was cancelled before this decky was done');
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return applicationError(cause, error, during);
  if (cause instanceof TimeoutFailure) return timeoutError(cause, during);
  return errorText('Internal', cause instanceof Error ? cause.message : String(cause));
}

function applicationError(cause: ApplicationFailure, error: unknown, during: string): string {
  const code: ErrorCode = cause.type && isErrorCode(cause.type) ? cause.type : 'Internal';
  const ranOut = error instanceof ActivityFailure && error.retryState === RetryState.TIMEOUT;
  return errorText(code, ranOut && ERRORS[code].retryable ? `${cause.message} (tried until ${during})` : cause.message);
}

function timeoutError(cause: TimeoutFailure, during: 'progress_deadline' | 'healthy_deadline'): string {
  const step = typeof cause.lastHeartbeatDetails === 'string' ? `; it was ${cause.lastHeartbeatDetails}` : '';
  const before = cause.cause instanceof Error ? `; before that: ${cause.cause.message}` : '';
  return errorText(
    during === 'healthy_deadline' ? 'HealthyDeadline' : 'ProgressDeadline',
    `no end within ${during}${step}${before}`,
  );
}
