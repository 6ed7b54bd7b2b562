/** How a command ends that does not succeed: its exit code, its sentence, and the advice that goes with it. */
import { type ErrorCode, isErrorCode } from '../fleet/errors.ts';

/** What the exit code promises (docs/guide.md#use-it-in-a-script). */
export const EXIT = Object.freeze({
  succeeded: 0,
  /** The master said no: a 4xx, or a question that was answered with no. */
  refused: 1,
  someFailed: 2,
  stillRunning: 5,
  /** Ctrl-C while waiting; the operation goes on. */
  interrupted: 130,
  /** No stack, no connection, no valid credentials, or a command line that makes no sense. */
  couldNotAsk: 255,
});
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end of the command that is not a success: what was wrong and where (`message`), what to do (`advice`). */
export class CliError extends Error {
  override readonly name: string = 'CliError';
  readonly exitCode: ExitCode;
  readonly advice: string | null;
  /** Code of fleet/errors.ts where the master gave one. */
  readonly code: string | null;
  constructor(exitCode: ExitCode, message: string, details: { advice?: string; code?: string; cause?: unknown } = {}) {
    super(message, { cause: details.cause });
    this.exitCode = exitCode;
    this.advice = details.advice ?? null;
    this.code = details.code ?? null;
  }
}

/**
 * By name: a command is imported when it runs, and where TypeScript is loaded file by file that import may bring a second
 * copy of a class.
 */
export const isCliError = (error: unknown): error is CliError =>
  error instanceof Error && ['CliError', 'ApiUnreachable', 'ApiRefusal'].includes(error.name);

// What to do about a refusal, where the master's own sentence does not say it

const ADVICE: Partial<Record<ErrorCode, string>> = {
  DeckyExists:
    'Deploy with --add-missing to leave out what is there, with --replace to make the fleet what the file says, or take the decky down first.',
  AddressInUse: 'See who has it: `deckhand deckies`.',
  DeckyBusy: 'Wait until that operation has ended: `deckhand deckies` shows it.',
  DeploymentLimit: 'Ask for fewer deckies, or raise the limit (PUT /api/v1/config/deployment-limit).',
  NetworkConflict:
    'Name net, gw and interface in [general], or leave them out for a fleet that exists; see `deckhand doctor`.',
  IdempotencyKeyReused: 'Use a new key: the body is another one.',
  HostExists: 'See what there is: `deckhand host list`.',
  HostBusy: 'Take its deckies down first: `deckhand host drain NAME`.',
  Forbidden: 'Ask as an administrator.',
  NotFound: 'See what there is: `deckhand deckies`, `deckhand status`, `deckhand host list`.',
};

export function adviceFor(code: string | null, message: string): string | null {
  if (/password change required/i.test(message))
    return 'Change it first: POST /api/v1/auth/change-password with old_password and new_password.';
  return code !== null && isErrorCode(code) ? (ADVICE[code] ?? null) : null;
}
