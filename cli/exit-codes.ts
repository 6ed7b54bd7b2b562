/** What the command's exit code promises (docs/guide.md#use-it-in-a-script). */
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
  override readonly name = 'CliError';
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
