/** A JSON body that is not UTF-8: the sentence names the encoding, and the line of the INI in which the byte stands. Pure. */
import { byteName, encodingProblem } from './encoding.ts';
import { placeInJson } from './json-place.ts';

/** The fields of a body that hold a whole text of lines. */
const TEXTS: ReadonlySet<string> = new Set(['ini_content', 'services_ini']);

export interface JsonEncodingProblem {
  readonly sentence: string;
  readonly offset: number;
}

/** Null for UTF-8. A byte order mark is allowed, as it is in Python. */
export function jsonEncodingProblem(bytes: Uint8Array): JsonEncodingProblem | null {
  const problem = encodingProblem(bytes);
  if (problem === null) return null;
  const { encoding, offset, byte } = problem;
  if (byte === null) return { offset, sentence: `The body is ${encoding}. Send it as UTF-8.` };
  const { key, line } = placeInJson(bytes, offset);
  const where = key !== null && TEXTS.has(key) ? `line ${line} of ${key} holds` : `at position ${offset} stands`;
  const what = `The body is not UTF-8: ${where} ${byteName(byte)}, as ${encoding} has it.`;
  return { offset, sentence: `${what} Save the text as UTF-8 and send it again.` };
}
