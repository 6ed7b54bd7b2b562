/** One run of the command, from its arguments to its exit code; prints what went wrong. */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, resolve } from 'node:path';
import { CommanderError } from 'commander';
import { isDeckhandError } from '../fleet/errors.ts';
import { adviceFor, CliError, EXIT, type ExitCode, isCliError } from './errors.ts';
import { type Io, isInterrupted } from './io.ts';
import { buildProgram } from './program.ts';
import { indented } from './text.ts';

export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = EXIT.succeeded;
  try {
    await buildProgram(io, (given) => {
      code = given;
    }).parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has printed its sentence (or the help that was asked for) already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.succeeded : EXIT.couldNotAsk;
    if (isInterrupted(io)) return EXIT.interrupted;
    return reportError(error, io, args.includes('--json'));
  }
}

function asCliError(error: unknown): CliError {
  if (isCliError(error)) return error;
  if (isDeckhandError(error)) return new CliError(EXIT.refused, error.message, { code: error.code, cause: error });
  const message = error instanceof Error ? inSources(error.stack ?? error.message) : String(error);
  return new CliError(EXIT.couldNotAsk, `Not foreseen, a bug of this command: ${message}`);
}

/** A stack of the bundle with the lines of the sources. Its maps are read here only: they cost more than a short command. */
function inSources(stack: string): string {
  return stack.replaceAll(
    /file:\/\/(\/[^\s)]+\.mjs):(\d+):(\d+)/g,
    (where, file: string, line: string, column: string) => {
      try {
        const map = new SourceMap(JSON.parse(readFileSync(`${decodeURI(file)}.map`, 'utf8')));
        const found = map.findEntry(Number(line) - 1, Number(column) - 1);
        return 'originalSource' in found
          ? `${resolve(dirname(decodeURI(file)), found.originalSource)}:${found.originalLine + 1}:${found.originalColumn + 1}`
          : where;
      } catch {
        return where;
      }
    },
  );
}

function reportError(error: unknown, io: Io, json: boolean): ExitCode {
  const { exitCode, message, code, advice: given } = asCliError(error);
  const advice = given ?? adviceFor(code, message);
  if (json) {
    io.out(JSON.stringify({ error: { message, code, advice } }, null, 2));
    return exitCode;
  }
  io.err(`${io.colours.red('error:')} ${indented(message, '')}`);
  if (advice !== null) io.err(indented(advice, '       '));
  return exitCode;
}
