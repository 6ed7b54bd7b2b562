/** The engine's streams of progress (pull, build): one JSON object a line. */
import { StringDecoder } from 'node:string_decoder';

export interface ProgressLine {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string };
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** No engine sends longer ones; without a bound, what is read would grow until the process dies. */
const LONGEST_LINE = 4 * 1024 * 1024;

function parse(line: string): ProgressLine[] {
  if (line.trim() === '') return [];
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === 'object' && parsed !== null ? [parsed as ProgressLine] : [{ stream: line }];
  } catch {
    return [{ stream: line }];
  }
}

/** Throws what the stream throws, also when it ends before its time. */
export async function* progressLines(stream: NodeJS.ReadableStream): AsyncGenerator<ProgressLine> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.write(chunk))).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw Object.assign(new Error('a line of progress never ends'), { code: 'EPROTO' });
    for (const line of lines) yield* parse(line);
  }
  yield* parse(rest + decoder.end());
}

/** What the line says went wrong, or null. */
export function lineError(line: ProgressLine): string | null {
  const said: unknown = line.errorDetail?.message ?? line.error ?? null;
  return said === null || typeof said === 'string' ? said : JSON.stringify(said);
}
