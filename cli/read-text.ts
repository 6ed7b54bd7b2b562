/** Reads the text that an operator names: a file, or `-` for standard input. Only UTF-8 goes to the master. */
import { readFile } from 'node:fs/promises';
import { buffer as readAll } from 'node:stream/consumers';
import { byteName, encodingProblem, lineAt } from '../fleet/encoding.ts';
import { CliError, EXIT } from './exit-codes.ts';

async function bytesOf(file: string): Promise<Uint8Array> {
  try {
    return file === '-' ? await readAll(process.stdin) : await readFile(file);
  } catch (cause) {
    throw new CliError(EXIT.couldNotAsk, `${file} can’t be read: ${(cause as Error).message}`, { cause });
  }
}

const nameOf = (file: string): string => (file === '-' ? 'Standard input' : file);

function refusal(file: string, bytes: Uint8Array): CliError | null {
  const problem = encodingProblem(bytes);
  if (problem === null) return null;
  const { encoding, offset, byte } = problem;
  const what =
    byte === null
      ? `${nameOf(file)} is ${encoding}.`
      : `${nameOf(file)} is not UTF-8: line ${lineAt(bytes, offset)} holds ${byteName(byte)}, as ${encoding} has it.`;
  return new CliError(EXIT.couldNotAsk, `${what} Save the file as UTF-8.`);
}

/** A byte order mark of UTF-8 is taken off: editors put it there, and it means nothing. Throws CliError. */
export async function readText(file: string): Promise<string> {
  const bytes = await bytesOf(file);
  const refused = refusal(file, bytes);
  if (refused !== null) throw refused;
  return new TextDecoder().decode(bytes);
}
