/** How a wait ended, in words and as the process's exit code. */
import { printJson } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Io } from './io.ts';
import { failureBlocks } from './render-rows.ts';
import { allEnded, exitCodeOf, outcomeText } from './tally.ts';
import { deckies, shortDuration } from './text.ts';
import type { WatchResult } from './watch.ts';

/** What can be typed while it goes on. */
export interface NextCommands {
  readonly lookAgain: string;
  readonly cancel: string | null;
}

/** Of a deployment; of single rows (null) only the deckies can be looked at. */
export const nextCommands = (deploymentId: string | null): NextCommands =>
  deploymentId === null
    ? { lookAgain: 'deckhand deckies', cancel: null }
    : { lookAgain: `deckhand status ${deploymentId} --wait`, cancel: `deckhand cancel ${deploymentId}` };

export interface Report {
  readonly result: WatchResult;
  readonly unchanged: number;
  /** "The deploy", "The teardown". */
  readonly what: string;
  readonly next: NextCommands;
  readonly startedAt: number;
  readonly json: boolean;
  /** Goes into the JSON document beside rows and counts. */
  readonly extra: Readonly<Record<string, unknown>>;
}

function exitCode({ end, snapshot }: WatchResult): ExitCode {
  if (end === 'refused') return EXIT.refused;
  if (end === 'interrupted') return EXIT.interrupted;
  return end === 'timeout' ? EXIT.stillRunning : exitCodeOf(snapshot.rows);
}

/** Prints the end of a wait and returns its exit code. */
export function reportEnd(io: Io, report: Report): ExitCode {
  const { end, snapshot } = report.result;
  const code = exitCode(report.result);
  if (report.json) {
    printJson(io, {
      ...report.extra,
      end,
      waiting_for: snapshot.waitingFor,
      unchanged: report.unchanged,
      rows: snapshot.rows,
    });
    return code;
  }
  // Piped, the evidence stands below its line already.
  if (io.terminal) for (const block of failureBlocks(snapshot.rows, io.colours)) io.out(block);
  const took = shortDuration(Date.now() - report.startedAt);
  if (end === 'ended') io.out(`${outcomeText(snapshot.rows, report.unchanged)} (${took})`);
  else io.err(unfinished(report, took));
  return code;
}

function unfinished(report: Report, took: string): string {
  const { end, snapshot } = report.result;
  if (end === 'refused') return `${report.what} did not take place: ${snapshot.refusal}`;
  const open = snapshot.rows.filter((row) => !allEnded([row])).length;
  const head = end === 'timeout' ? `Still running after ${took}: ` : '';
  const seen =
    snapshot.rows.length > 0 ? `${deckies(open)} of ${snapshot.rows.length} to go` : 'nothing seen of it yet';
  const wait = snapshot.waitingFor ? ` Waiting for: ${snapshot.waitingFor}` : '';
  const { lookAgain, cancel } = report.next;
  const again = `\nLook at it: ${lookAgain}${cancel === null ? '' : `\nCancel it: ${cancel}`}`;
  return `${head}${report.what.toLowerCase()} goes on, ${seen}.${wait}${again}`.replace(/^./, (first) =>
    first.toUpperCase(),
  );
}
